from pathlib import Path

import onnx
import pytest

from edge.pipeline.backend import SHIPPED_MODELS, model_files, open_backend
from edge.pipeline.config import SHIPPED_PAIR, Mode
from edge.pipeline.modes import MODES
from engines.errors import DeviceError, ModelFileError, SignatureError
from engines.onnx_engine import OnnxEngine
from tests.support.tiny_pair import signature, tiny_model, write_tiny_pair

SIZE = (128, 96)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_tiny_pair(folder, SIZE)
    write_tiny_pair(folder, (160, 128))
    return folder


def test_an_empty_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(
        ModelFileError, match=rf"no model file {SHIPPED_PAIR}-teacher-576x320\.onnx in .*; it has no \.onnx file"
    ):
        open_backend(tmp_path)


def test_networks_are_loaded_as_far_as_they_are_there(models: Path) -> None:
    backend = open_backend(models, SIZE, pair="tiny", threads=1)
    assert backend.modes == tuple(MODES)
    assert {name: (e.signature.role, e.signature.prior) for name, e in backend.engines.items()} == {
        "teacher": ("teacher", False),
        "student": ("student", True),
        "plain": ("student", False),
    }
    assert backend.device.name == "cpu"


@pytest.mark.parametrize(
    ("files", "modes"),
    [
        (("teacher",), ("teacher",)),
        (("student-plain",), ("student",)),
        (("student", "student-plain"), ("student",)),
        (("teacher", "student"), ("teacher", "no-update", "atttrack")),
        (("teacher", "student-plain"), ("teacher", "student", "naive")),
    ],
)
def test_modes_are_those_whose_networks_are_there(
    models: Path, tmp_path: Path, files: tuple[str, ...], modes: tuple[Mode, ...]
) -> None:
    for role in files:
        name = f"tiny-{role}-{SIZE[0]}x{SIZE[1]}.onnx"
        (tmp_path / name).write_bytes((models / name).read_bytes())
    assert open_backend(tmp_path, SIZE, mode=modes[0], pair="tiny", threads=1).modes == modes
    for missing in MODES.keys() - {*modes}:
        with pytest.raises(ModelFileError, match="no model file tiny-"):
            open_backend(tmp_path, SIZE, mode=missing, pair="tiny", threads=1)


@pytest.mark.parametrize(("name", "holds"), [("student", "student-plain"), ("student-plain", "student")])
def test_a_student_under_the_others_name_is_refused(models: Path, tmp_path: Path, name: str, holds: str) -> None:
    for role in ("teacher", "student", "student-plain"):
        file = f"tiny-{role}-{SIZE[0]}x{SIZE[1]}.onnx"
        source = file.replace(role, holds) if role == name else file
        (tmp_path / file).write_bytes((models / source).read_bytes())
    with pytest.raises(SignatureError, match=f"tiny-{name}-128x96.onnx should hold a student with"):
        open_backend(tmp_path, SIZE, pair="tiny", threads=1)


def test_a_size_that_is_not_there_names_those_that_are(models: Path) -> None:
    with pytest.raises(ModelFileError, match="this student-plain comes in the sizes 128x96, 160x128"):
        open_backend(models, (1088, 608), mode="student", pair="tiny")


def test_a_teacher_of_one_size_alone_is_taken_at_that_size_beside_a_student_of_another(
    models: Path, tmp_path: Path
) -> None:
    for name in ("tiny-teacher-160x128.onnx", "tiny-student-128x96.onnx"):
        (tmp_path / name).write_bytes((models / name).read_bytes())
    backend = open_backend(tmp_path, SIZE, pair="tiny", threads=1)
    assert [(one.width, one.height) for one in backend.signatures] == [(160, 128), SIZE]
    assert [path.name for path in model_files(tmp_path, "tiny", SIZE)] == sorted(
        (path.name for path in tmp_path.iterdir()), reverse=True
    )
    with pytest.raises(ModelFileError, match="this teacher comes in the sizes 160x128"):
        open_backend(tmp_path, SIZE, pair="tiny", teacher_size=SIZE)


def test_a_pair_that_is_not_there_names_what_is(models: Path) -> None:
    with pytest.raises(
        ModelFileError, match=r"no model file dla-teacher-128x96\.onnx in .* it has tiny-student-128x96,"
    ):
        open_backend(models, SIZE, pair="dla")


def test_networks_of_two_pairs_are_refused(tmp_path: Path) -> None:
    onnx.save(tiny_model(signature("teacher", SIZE)), tmp_path / "mixed-teacher-128x96.onnx")
    student = tiny_model(signature("student", SIZE, prior=True, pair="other"))
    onnx.save(student, tmp_path / "mixed-student-128x96.onnx")
    with pytest.raises(SignatureError, match="do not fit: pair is 'tiny' in the teacher and 'other' in the student"):
        open_backend(tmp_path, SIZE, pair="mixed")


def test_a_device_that_is_not_there_is_refused_before_any_model_is_read(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="no CUDA driver"):
        open_backend(tmp_path, device="cuda")


def test_the_shipped_models_lie_in_the_project() -> None:
    assert SHIPPED_MODELS == Path(__file__).parents[3] / "models"


def test_a_network_that_the_device_cannot_run_is_left_out_unless_the_mode_needs_it(
    models: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def only_planned(path: Path, *rest: object) -> OnnxEngine:
        if "plain" in path.name:
            raise DeviceError("this ONNX Runtime has no CUDA")
        return OnnxEngine(path, 1)

    monkeypatch.setattr("edge.pipeline.backend.load_engine", only_planned)
    with caplog.at_level("INFO"):
        assert open_backend(models, SIZE, "cpu", pair="tiny").engines.keys() == {"teacher", "student"}
    assert [record.message for record in caplog.records] == [
        "the plain network, which mode atttrack does without, is left out: this ONNX Runtime has no CUDA"
    ]
    with pytest.raises(DeviceError, match="has no CUDA"):
        open_backend(models, SIZE, "cpu", mode="student", pair="tiny")
