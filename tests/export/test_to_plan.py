"""Plans of every shipped network are built here, without a GPU, by TensorRT-RTX."""

import json
import re
import shlex
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from edge.pipeline.backend import SHIPPED_MODELS
from engines.errors import DeviceError, ModelFileError, PlanError
from engines.plan import ANY, PlanStore, read_manifest, read_plan
from engines.signature import Signature
from export.to_plan import Order, main, make_plan
from tests.support.tiny_pair import signature, tiny_model

trt = pytest.importorskip("tensorrt_rtx", reason="no tensorrt-rtx here; on x86-64: pip install -e '.[plans]'")

SHIPPED = sorted(SHIPPED_MODELS.glob("*.onnx"))
SCENE = "synthetic://?seed=2&people=20&width=1280&height=720"


def order(model: Path, precision: str = "fp32", max_batch: int = 4) -> Order:
    return Order(model, "tensorrt_rtx", precision, max_batch, calibrate=SCENE, frames=1)  # type: ignore[arg-type]


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    path = tmp_path / "tiny-teacher-128x96.onnx"
    onnx.save(tiny_model(signature("teacher", (128, 96))), path)
    return path


def test_both_sizes_of_all_three_networks_are_shipped() -> None:
    """An empty list would make the next test pass without a plan."""
    roles = ("student", "student-plain", "teacher")
    expected = {f"yolo-{role}-{size}" for role in roles for size in ("1088x608", "576x320")}
    assert {path.stem for path in SHIPPED} >= expected


def quiet(share: float, doing: str) -> None:
    """No report."""


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("model", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_network_becomes_a_plan(tmp_path: Path, model: Path, precision: str) -> None:
    reports: list[tuple[float, str]] = []
    path = make_plan(order(model, precision), PlanStore(tmp_path), lambda *report: reports.append(report))
    manifest = read_manifest(path)
    assert len(read_plan(path, manifest)) > 100_000
    assert manifest.key.compute_capability == ANY and manifest.key.precision == precision
    assert manifest.key.runtime_version == trt.__version__
    assert Signature.from_metadata(manifest.signature).role in model.stem
    shares = [share for share, _ in reports]
    assert shares == sorted(shares) and shares[-1] == 1.0 and len(shares) > 20, "progress is visible and never falls"


def test_a_plan_that_is_there_is_not_built_again(tmp_path: Path, teacher: Path) -> None:
    store = PlanStore(tmp_path / "plans")
    first = make_plan(order(teacher), store, quiet)
    written = first.stat().st_mtime_ns
    reports: list[str] = []
    assert make_plan(order(teacher), store, lambda _, doing: reports.append(doing)) == first
    assert first.stat().st_mtime_ns == written and reports == ["already there"]
    first.with_suffix(".json").unlink()
    assert make_plan(order(teacher), store, quiet) == first and first.stat().st_mtime_ns > written


def test_a_damaged_plan_is_mended_by_the_command_that_the_refusal_names(tmp_path: Path, teacher: Path) -> None:
    store = PlanStore(tmp_path / "plans")
    path = make_plan(order(teacher), store, quiet)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(PlanError, match="is damaged; make it again with: python -m") as caught:
        read_plan(path, read_manifest(path))
    command = shlex.split(str(caught.value).partition("make it again with: ")[2])
    assert main([*command[3:], "--progress", "none"]) == 0
    assert len(read_plan(path, read_manifest(path))) == pytest.approx(len(whole), rel=0.1)


def test_what_a_plan_depends_on_gives_another_plan(tmp_path: Path, teacher: Path) -> None:
    store = PlanStore(tmp_path / "plans")
    orders = [order(teacher), order(teacher, "fp16"), order(teacher, max_batch=2)]
    assert len({make_plan(wanted, store, quiet) for wanted in orders}) == 3


def test_a_network_that_the_runtime_refuses_is_named_with_its_operator(tmp_path: Path, teacher: Path) -> None:
    model = onnx.load(teacher)
    index = next(index for index, node in enumerate(model.graph.node) if node.op_type == "AveragePool")
    model.graph.node[index].output[0] = "unsampled"
    weights = {"k": (3, 3, 1, 1), "o": (1, 2, 24, 32)}
    for name, shape in weights.items():
        model.graph.initializer.append(helper.make_tensor(name, TensorProto.FLOAT, shape, [0.0] * _count(shape)))
    deform = helper.make_node("DeformConv", ["unsampled", "k", "o"], ["cells"], name="bent", kernel_shape=[1, 1])
    model.graph.node.insert(index + 1, deform)
    model.opset_import[0].version = 19
    onnx.save(model, teacher)
    with pytest.raises(PlanError, match=r"tensorrt_rtx 1\.7\S* refuses the network: DeformConv 'bent'"):
        make_plan(order(teacher), PlanStore(tmp_path), quiet)
    assert not list(tmp_path.glob("*.plan"))


def test_the_command_line_reports_percent_as_json_and_names_the_plan(
    tmp_path: Path, teacher: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(teacher), "--runtime", "tensorrt_rtx", "--precision", "fp16", "--output", str(tmp_path / "p")]
    assert main([*arguments, "--max-batch", "2", "--progress", "json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["share"] for line in lines[:-1]] == sorted({line["share"] for line in lines[:-1]})
    manifest = read_manifest(Path(lines[-1]["plan"]))
    assert manifest.command(tmp_path / "p").split()[2:] == [
        "export.to_plan",
        *arguments[:-2],
        "--max-batch",
        "2",
        *arguments[-2:],
    ]


def test_what_cannot_be_built_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "no.onnx"), "--runtime", "tensorrt_rtx", "--output", str(tmp_path)]) == 2
    assert re.fullmatch(r"python -m export\.to_plan: .*no\.onnx.*\n", capsys.readouterr().err)
    with pytest.raises(SystemExit):
        main([str(tmp_path / "no.onnx"), "--max-batch", "0"])


def test_tensorrt_itself_needs_its_library_or_a_gpu(tmp_path: Path, teacher: Path) -> None:
    with pytest.raises(DeviceError):
        make_plan(Order(teacher, "tensorrt"), PlanStore(tmp_path), quiet)


def test_a_file_that_is_no_model_leaves_no_plan(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"nothing")
    with pytest.raises(ModelFileError, match="is no ONNX model"):
        make_plan(order(path), PlanStore(tmp_path / "plans"), quiet)
    assert not list((tmp_path / "plans").glob("*.plan"))


def _count(shape: tuple[int, ...]) -> int:
    product = 1
    for side in shape:
        product *= side
    return product
