"""A round as a process: what it is given, that it is the last in everything, and that nothing of it is left."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.pipeline.backend import PairFiles
from service.adaptation import settings as room
from service.adaptation import training
from service.adaptation.sample import Excerpt, Sample
from service.adaptation.settings import AdaptationSettings
from service.adaptation.training import PREFIX, Predecessor, Training, TrainingFailed, sweep
from tests.service.waiting import wait_until
from tests.support.tiny_pair import write_tiny_pair


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the test's own in place of /dev/shm, and a scripted program in place of the real one."""
    folder = tmp_path / "memory"
    folder.mkdir()
    monkeypatch.setattr(training, "MEMORY", folder)
    monkeypatch.setattr(training, "PROGRAM", "tests.support.scripted_round")
    return folder


@pytest.fixture
def script(memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    monkeypatch.setenv("SCRIPTED_ROUND_SEEN", str(tmp_path / "seen.json"))
    monkeypatch.setenv("ATTTRACK_API_KEY", "not for programs that learn, which need none")
    return lambda name: monkeypatch.setenv("SCRIPTED_ROUND", name)


def sample() -> Sample:
    made = Sample(1_000_000)
    for number in range(4):
        made.add(Excerpt("door", number, (b"one", b"two", b"three"), (64, 32), 12.5))
    return made


def make(tmp_path: Path, share: float = 0.5) -> Training:
    (tmp_path / "student.onnx").write_text("a student")
    files = PairFiles(tmp_path / "teacher.onnx", tmp_path / "student.onnx", (320, 192), (160, 96))
    return Training(AdaptationSettings(share, 60.0, 1.0, 1_000_000, None), files)


def run(made: Training, before: Predecessor | None = None) -> tuple[dict[str, Any], list[Any]]:
    """The verdict with the names of what lay in the folder then, and what was told."""
    told: list[Any] = []
    taken: list[dict[str, Any]] = []

    def take(verdict: dict[str, Any], folder: Path) -> None:
        taken.append({**verdict, "left": sorted(one.name for one in folder.iterdir())})

    made.run(sample(), before, 6, lambda *report: told.append(report), take)
    (verdict,) = taken
    return verdict, told


def test_a_round_gets_the_stretches_and_gives_its_verdict(
    script: Callable[[str], None], memory: Path, tmp_path: Path
) -> None:
    script("better")
    verdict, told = run(make(tmp_path))
    assert verdict["verdict"] == "better"
    assert {"student.onnx", "weights.pt"} <= set(verdict["left"])
    assert told == [(0.5, "the student learns")]
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert seen["pictures"] == dict.fromkeys(("door.000003", "door.000000", "door.000001", "door.000002"), 3)
    assert seen["order"]["kept"] == ["door.000003"]
    assert seen["order"]["learnt"] == ["door.000000", "door.000001", "door.000002"]
    assert (seen["order"]["student"], seen["order"]["k"]) == (None, 6)
    assert seen["folder"].startswith(str(memory)) and seen["mode"] == 0o700
    assert list(memory.iterdir()) == []


def test_it_is_the_last_in_everything_and_knows_no_setting_of_the_service(
    script: Callable[[str], None], tmp_path: Path
) -> None:
    script("not_better")
    run(make(tmp_path, 0.01))
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert seen["nice"] == 19
    assert seen["processors"] == [max(os.sched_getaffinity(0))]
    assert seen["settings"] == []


def test_a_round_begins_with_the_student_in_force(script: Callable[[str], None], tmp_path: Path) -> None:
    script("not_better")
    run(make(tmp_path), Predecessor(tmp_path / "7.onnx", tmp_path / "7.pt"))
    order = json.loads((tmp_path / "seen.json").read_text())["order"]
    assert (order["student"], order["weights"]) == (str(tmp_path / "7.onnx"), str(tmp_path / "7.pt"))


def test_files_named_from_where_the_service_was_started_are_found(
    script: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script("better")
    monkeypatch.setenv("PYTHONPATH", os.getcwd())
    monkeypatch.chdir(tmp_path)
    verdict, _ = run(make(Path(".")), Predecessor(Path("7.onnx"), Path("7.pt")))
    assert "student.onnx" in verdict["left"]
    order = json.loads((tmp_path / "seen.json").read_text())["order"]
    assert order["teacher"] == str(tmp_path / "teacher.onnx") and order["weights"] == str(tmp_path / "7.pt")


@pytest.mark.parametrize(("name", "told"), [("dies", "ended with -9"), ("complains", "loss is nan at step 7")])
def test_a_round_that_comes_to_nothing_says_why_and_leaves_nothing(
    script: Callable[[str], None], memory: Path, tmp_path: Path, name: str, told: str
) -> None:
    script(name)
    with pytest.raises(TrainingFailed, match=told):
        run(make(tmp_path))
    assert list(memory.iterdir()) == []


def test_a_round_under_way_can_be_stopped(script: Callable[[str], None], memory: Path, tmp_path: Path) -> None:
    script("hangs")
    made, failures = make(tmp_path, 0.3), []

    def hang() -> None:
        with pytest.raises(TrainingFailed, match="stopped") as failure:
            run(made)
        failures.append(failure)

    thread = threading.Thread(target=hang)
    thread.start()
    wait_until((tmp_path / "seen.json").exists, 30, "the round to begin")
    made.stop()
    thread.join(30)
    assert failures and list(memory.iterdir()) == []
    pid = json.loads((tmp_path / "seen.json").read_text())["pid"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_it_stands_still_for_the_rest_of_each_turn(
    script: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as it hangs it is stopped and goes on in turns, whatever it does."""
    script("hangs")
    sent: list[signal.Signals] = []
    whole = training._signal
    monkeypatch.setattr(training, "TURN_S", 0.05)
    monkeypatch.setattr(training, "_signal", lambda process, number: (sent.append(number), whole(process, number)))
    made = make(tmp_path, 0.01)
    assert made._settings.duty < 1

    def end() -> None:
        wait_until(lambda: len(sent) >= 6, 30, "turns")
        made.stop()

    threading.Thread(target=end).start()
    with pytest.raises(TrainingFailed, match="stopped"):
        run(made)
    turns = sent[: sent.index(signal.SIGKILL)]
    assert turns[:6] == [signal.SIGSTOP, signal.SIGCONT] * 3


def test_without_room_in_memory_no_round_begins(
    script: Callable[[str], None], memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script("better")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 90, 10))
    with pytest.raises(TrainingFailed, match=f"{memory} has 0 MB free, a round needs 100"):
        run(make(tmp_path))
    assert list(memory.iterdir()) == []


def test_pictures_of_rounds_that_died_with_their_service_are_swept_away_and_others_are_not(memory: Path) -> None:
    dead, alive, other = memory / f"{PREFIX}dead", memory / f"{PREFIX}alive", memory / "other"
    for folder in (dead, alive, other):
        folder.mkdir()
        (folder / "lock").touch()
    with training._held(alive / "lock"):
        sweep()
    assert sorted(memory.iterdir()) == [alive, other]


@pytest.mark.parametrize(
    ("share", "count", "processors", "duty"),
    [(0.25, 8, 2, 1.0), (0.25, 2, 1, 0.5), (1.0, 4, 4, 1.0), (0.01, 16, 1, 0.16), (0.3, 8, 2, 1.0)],
)
def test_the_share_is_never_exceeded(
    share: float, count: int, processors: int, duty: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room.os, "sched_getaffinity", lambda pid: set(range(count)))
    made = AdaptationSettings(share, 60.0, 1.0, 1_000_000, None)
    assert (len(made.processors), made.duty) == (processors, pytest.approx(duty))
    assert len(made.processors) * made.duty <= share * count + 1e-9


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    before = {thread.name for thread in threading.enumerate()}
    yield
    assert {thread.name for thread in threading.enumerate()} <= before


SERVICE = """
import os
import sys
from pathlib import Path
from edge.pipeline.backend import PairFiles
from service.adaptation import training
from service.adaptation.sample import Sample, Excerpt
from service.adaptation.settings import AdaptationSettings

memory, models, picture = map(Path, sys.argv[1:])
training.MEMORY, training.TURN_S = memory, 0.5
sample = Sample(10_000_000)
for number in range(4):
    sample.add(Excerpt('door', number, (picture.read_bytes(),) * 40, (320, 192), 10.0))
pair = PairFiles.find(models, "tiny", (320, 192))
made = training.Training(AdaptationSettings(0.4 / len(os.sched_getaffinity(0)), 60.0, 60.0, 10_000_000, None), pair)
made.run(sample, None, 6, lambda *told: print("it works", flush=True), lambda *verdict: None)
"""


@pytest.mark.training
def test_a_service_that_is_killed_while_a_round_stands_still_leaves_neither_round_nor_pictures(tmp_path: Path) -> None:
    """The kernel wakes a stopped process whose starter is gone, and the round sees that its input has ended."""
    memory, picture = tmp_path / "memory", tmp_path / "picture.jpg"
    memory.mkdir()
    write_tiny_pair(tmp_path)
    cv2.imwrite(str(picture), np.zeros((192, 320, 3), np.uint8))
    command = [sys.executable, "-c", SERVICE, str(memory), str(tmp_path), str(picture)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        assert service.stdout.readline() == "it works\n"
        tasks = Path(f"/proc/{service.pid}/task").glob("*/children")
        (status,) = (Path(f"/proc/{child}/stat") for path in tasks for child in path.read_text().split())
        wait_until(lambda: status.read_text().rpartition(")")[2].split()[0] == "T", 60, "the round to stand still")
        service.kill()
    wait_until(lambda: not list(memory.iterdir()), 60, "the pictures to go")
    wait_until(lambda: not status.exists(), 60, "the round to go")
