"""Plans built in the background: visible, one at a time, stoppable, and never the end of what serves meanwhile."""

from pathlib import Path
from threading import Event

import onnx
import pytest

from engines.errors import PlanError
from engines.plan import read_manifest
from engines.plan_builds import BuildCommand, PlanBuilds, PlanState, Size
from engines.tensorrt_builder import Progress
from tests.support.tiny_pair import signature, tiny_model

PATIENCE_S = 60.0
BUILDER = "export.to_plan"


class SlowBuilder:
    """Builds when it is let; `started` is set while it waits."""

    def __init__(self) -> None:
        self.started, self.let = Event(), Event()
        self.built: list[Path] = []

    def __call__(self, model: Path, size: Size, progress: Progress, stop: Event) -> Path:
        progress(0.25, "timing kernels")
        self.started.set()
        while not self.let.wait(0.01):
            if stop.is_set():
                raise PlanError("stopped")
        self.built.append(model)
        return model.with_suffix(".plan")


def test_without_orders_nothing_is_built() -> None:
    builds = PlanBuilds(SlowBuilder())
    assert builds.states == ()
    builds.start()
    builds.stop()


def test_orders_wait_are_built_in_turn_and_are_handed_over() -> None:
    builder, ready = SlowBuilder(), {name: Event() for name in ("a", "b")}
    builds = PlanBuilds(builder)
    paths: list[Path] = []

    def hand_over(plan: Path) -> None:
        paths.append(plan)
        ready[plan.stem].set()

    for name in ready:
        builds.order(Path(f"{name}.onnx"), hand_over)
    assert builds.states == (PlanState("a.onnx", "waiting"), PlanState("b.onnx", "waiting"))
    builds.start()
    assert builder.started.wait(PATIENCE_S)
    assert builds.states == (PlanState("a.onnx", "building", 0.25, "timing kernels"), PlanState("b.onnx", "waiting"))
    builder.let.set()
    assert all(event.wait(PATIENCE_S) for event in ready.values())
    builds.stop()
    assert paths == [Path("a.plan"), Path("b.plan")]
    assert builds.states == (PlanState("a.onnx", "ready", 1.0), PlanState("b.onnx", "ready", 1.0))


@pytest.mark.parametrize(
    ("error", "reason"), [(PlanError("out of memory"), "out of memory"), (KeyError("x"), "unexpected KeyError")]
)
def test_a_build_that_fails_says_why_and_the_next_goes_on(error: Exception, reason: str) -> None:
    done = Event()

    def build(model: Path, size: Size, progress: Progress, stop: Event) -> Path:
        if model.stem == "a":
            raise error
        return model

    builds = PlanBuilds(build)
    builds.order(Path("a.onnx"), lambda plan: None)
    builds.order(Path("b.onnx"), lambda plan: done.set())
    builds.start()
    assert done.wait(PATIENCE_S)
    builds.stop()
    first, second = builds.states
    assert first.phase == "failed" and first.doing.startswith(reason)
    assert second.phase == "ready"


def test_stopping_ends_the_build_under_way_and_starts_no_other() -> None:
    builder = SlowBuilder()
    builds = PlanBuilds(builder)
    for name in "ab":
        builds.order(Path(f"{name}.onnx"), lambda plan: None)
    builds.start()
    assert builder.started.wait(PATIENCE_S)
    builds.stop()
    assert [state.phase for state in builds.states] == ["failed", "waiting"]
    assert not builder.built


def test_the_real_builder_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="no tensorrt-rtx here; on x86-64: pip install -e '.[plans]'")
    model = tmp_path / "tiny-teacher-128x96.onnx"
    onnx.save(tiny_model(signature("teacher", (128, 96))), model)
    command = BuildCommand(
        BUILDER, ("--runtime", "tensorrt_rtx", "--max-batch", "2", "--output", str(tmp_path / "plans"))
    )
    shares: list[float] = []
    plan = command(model, None, lambda share, doing: shares.append(share), Event())
    assert read_manifest(plan).key.max_batch == 2
    assert shares == sorted(shares) and shares[-1] == 1.0


def test_the_real_builders_complaint_is_one_line(tmp_path: Path) -> None:
    command = BuildCommand(BUILDER, ("--runtime", "tensorrt_rtx", "--output", str(tmp_path)))
    with pytest.raises(PlanError, match=r"^python -m export\.to_plan: .*") as caught:
        command(tmp_path / "no.onnx", None, lambda share, doing: None, Event())
    assert "\n" not in str(caught.value)


def test_the_real_builder_can_be_stopped(tmp_path: Path) -> None:
    model = tmp_path / "tiny-teacher-128x96.onnx"
    onnx.save(tiny_model(signature("teacher", (128, 96))), model)
    stop = Event()
    stop.set()
    with pytest.raises(PlanError, match="stopped"):
        BuildCommand(BUILDER, ("--output", str(tmp_path)))(model, None, lambda share, doing: None, stop)


def test_the_log_tells_every_tenth_of_a_build(caplog: pytest.LogCaptureFixture) -> None:
    def build(model: Path, size: Size, progress: Progress, stop: Event) -> Path:
        for percent in range(0, 101, 5):
            progress(percent / 100, "timing kernels")
        return model

    done = Event()
    builds = PlanBuilds(build)
    builds.order(Path("a.onnx"), lambda plan: done.set())
    with caplog.at_level("INFO"):
        builds.start()
        assert done.wait(PATIENCE_S)
        builds.stop()
    told = [message for message in caplog.messages if "timing kernels" in message]
    assert told[0] == "plan of a.onnx: 10%, timing kernels" and len(told) == 10
