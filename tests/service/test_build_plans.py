"""The setting that lets a service build the plans that its GPU lacks."""

from pathlib import Path

from edge.pipeline.backend import open_backend
from engines.plan_builds import BuildCommand, PlanBuilds
from service.app import plan_builds
from service.settings import Settings
from tests.support.tiny_pair import write_tiny_pair


def test_no_plan_is_built_unless_it_is_asked_for() -> None:
    assert plan_builds(Settings()) is None


def test_the_builder_gets_precision_batch_and_folder(tmp_path: Path) -> None:
    builds = plan_builds(Settings(build_plans="fp16", max_streams=7, plans_dir=tmp_path))
    assert builds is not None
    expected = ("--precision", "fp16", "--max-batch", "7", "--output", str(tmp_path))
    assert builds._build == BuildCommand("export.to_plan", expected)


def test_on_a_cpu_nothing_is_ordered(tmp_path: Path) -> None:
    write_tiny_pair(tmp_path)
    builds = PlanBuilds(BuildCommand("export.to_plan"))
    backend = open_backend(tmp_path, (320, 192), "cpu", pair="tiny", builds=builds)
    assert backend.device.kind == "cpu" and builds.states == ()
