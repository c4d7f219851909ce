"""One file serves all sizes, and at each it is what a file of that size alone would be."""

from collections import Counter
from pathlib import Path

import onnx
import onnxruntime
import pytest

from edge.pipeline.backend import open_backend
from engines.errors import ModelFileError, SignatureError
from engines.onnx_engine import OnnxEngine
from engines.plan import read_manifest
from engines.plan_builds import BuildCommand
from engines.signature import Role, Signature, open_axes
from export.precision import to_precision
from export.sizes import close_axes, name_axes
from export.to_onnx import export, sign
from export.verify import verify
from tests.support.trained_network import Shallow, as_if_trained

SIZE, OTHER = (96, 64), (160, 96)
NETWORK = {"teacher": as_if_trained(Shallow()), "student": as_if_trained(Shallow(prior=True))}


def write(folder: Path, role: Role, sizes: str, size: tuple[int, int] = SIZE) -> Path:
    network = NETWORK[role]
    record = {"recipe": {"pair": "any", "network": "yolo-1/8", "mapping": "none"}, "commit": ""}
    path = folder / (f"any-{role}.onnx" if sizes == "open" else f"any-{role}-{size[0]}x{size[1]}.onnx")
    export(network, sign(record, network, role, size, 40, sizes=sizes), path)  # type: ignore[arg-type]
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """any-teacher.onnx and any-student.onnx, open; any-student-160x96.onnx, of that size alone."""
    folder = tmp_path_factory.mktemp("open")
    write(folder, "teacher", "open")
    write(folder, "student", "open")
    (folder / "fixed").mkdir()
    write(folder / "fixed", "student", "fixed", OTHER)
    return folder


def optimized(path: Path, size: tuple[int, int] | None, folder: Path) -> Counter[str]:
    """Operators that ONNX Runtime is left with once it has loaded a file."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.optimized_model_filepath = 3, str(folder / "optimized.onnx")
    for name, length in open_axes(size).items() if size else ():
        options.add_free_dimension_override_by_name(name, length)
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(folder / "optimized.onnx").graph.node)


def test_a_file_without_open_axes_cannot_be_given_names_for_them(models: Path) -> None:
    with pytest.raises(ValueError, match="are not open"):
        name_axes(onnx.load(models / "fixed" / "any-student-160x96.onnx"))


@pytest.mark.parametrize("role", ["teacher", "student"])
@pytest.mark.parametrize("size", [None, OTHER, (64, 128)])
def test_an_open_file_agrees_with_torch_at_every_size(models: Path, role: str, size: tuple[int, int] | None) -> None:
    path = models / f"any-{role}.onnx"
    signature = OnnxEngine(path, 1, size).signature
    assert (signature.width, signature.height) == (size or SIZE)
    assert signature.sizes == "fixed", "an engine has one size"
    report = verify(NETWORK[role], signature, path)
    assert report.passed, report.table()


def test_onnx_runtime_makes_of_an_open_file_what_it_makes_of_one_for_that_size(models: Path, tmp_path: Path) -> None:
    alone = optimized(models / "fixed" / "any-student-160x96.onnx", None, tmp_path)
    assert optimized(models / "any-student.onnx", OTHER, tmp_path) == alone


@pytest.mark.parametrize("size", [(100, 64), (0, 32), (96, 48)])
def test_sizes_that_are_no_multiples_of_32_are_refused(models: Path, size: tuple[int, int]) -> None:
    with pytest.raises(SignatureError, match=f"multiples of 32, got {size[0]}x{size[1]}"):
        OnnxEngine(models / "any-teacher.onnx", 1, size)


def test_a_file_of_one_size_refuses_another_and_says_its_own(models: Path) -> None:
    path = models / "fixed" / "any-student-160x96.onnx"
    assert OnnxEngine(path, 1, OTHER).signature == OnnxEngine(path, 1).signature
    with pytest.raises(SignatureError, match=r"160x96 alone, 96x64 was asked for"):
        OnnxEngine(path, 1, SIZE)


def test_a_backend_takes_the_open_files_at_its_size_unless_there_are_some_of_that_size(models: Path) -> None:
    backend = open_backend(models, OTHER, "cpu", pair="any")
    assert backend.engines.keys() == {"teacher", "student"}
    assert {(e.signature.width, e.signature.height) for e in backend.engines.values()} == {OTHER}
    with pytest.raises(ModelFileError, match=r"no model file any-teacher-160x96\.onnx in .*this|it has"):
        open_backend(models / "fixed", OTHER, "cpu", pair="any")


def test_other_precisions_have_one_size(models: Path) -> None:
    for precision in ("fp32", "fp16"):
        model = to_precision(models / "any-student.onnx", precision, size=OTHER)
        metadata = {entry.key: entry.value for entry in model.metadata_props}
        signature = Signature.from_metadata(metadata)
        assert (signature.width, signature.height, signature.sizes) == (*OTHER, "fixed")
        shapes = [[axis.dim_value for axis in value.type.tensor_type.shape.dim[1:]] for value in model.graph.input]
        assert shapes == [[3, 96, 160], [1, 24, 40]]
        assert close_axes(model, signature) is model


def test_int8_is_calibrated_at_the_size_it_is_for(models: Path) -> None:
    model = to_precision(models / "any-student.onnx", "int8", "synthetic://?width=320&height=192", 2, size=OTHER)
    assert {entry.key: entry.value for entry in model.metadata_props}["width"] == "160"


def test_a_plan_is_built_for_one_size_of_an_open_file(models: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="no tensorrt-rtx here; on x86-64: pip install -e '.[plans]'")
    from threading import Event

    command = BuildCommand(
        "export.to_plan", ("--runtime", "tensorrt_rtx", "--max-batch", "2", "--output", str(tmp_path))
    )
    for size, name in ((OTHER, "160x96"), (None, "96x64")):
        plan = command(models / "any-student.onnx", size, lambda share, doing: None, Event())
        manifest = read_manifest(plan)
        assert manifest.key.size == name and name in plan.name
        assert manifest.command(tmp_path).count(f"--size {name}") == 1
        signature = Signature.from_metadata(manifest.signature)
        assert (signature.width, signature.height) == (size or SIZE)
