"""An adopted detector in the whole pipeline, alone and with the student that it is lent; and what is refused."""

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge.__main__ import main as track
from edge.pipeline.backend import SHIPPED_MODELS, open_backend
from edge.pipeline.config import LaneSettings, PipelineSettings
from edge.pipeline.pipeline import TrackingPipeline
from edge.tracking.mot_format import read_mot
from engines.host import HostDevice
from engines.onnx_engine import OnnxEngine
from export.adopt.command import main
from testbed.clips import write_clip
from tests.support.drawn import Drawn

SIZE = (320, 192)


def adopt(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def pair(detector: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the pair that it was made part of."""
    folder = tmp_path_factory.mktemp("pair")
    assert adopt(detector, "--output", folder, "--pair", "mine") == 0
    return folder


def test_a_teacher_alone_follows_people_by_motion(pair: Path) -> None:
    scene = Drawn(((60, 66), (320, 192)), ((100, 0), (20, 0)))
    backend = open_backend(pair, SIZE, "cpu", "teacher", "mine", threads=1)
    pipeline = TrackingPipeline(backend, PipelineSettings(LaneSettings(mode="teacher"), max_lanes=1))
    pipeline.add_lane("door")
    for index in range(12):
        (tracked,) = pipeline.collect(pipeline.submit({"door": scene.frame(index)}))
        assert tracked.tracks.ids.tolist() == [1, 2]
        order = np.argsort(tracked.tracks.xyxy[:, 0])
        np.testing.assert_allclose(tracked.tracks.xyxy[order], scene.xyxy(index / 30), atol=8)


def test_with_the_student_it_is_lent_it_makes_a_pair(
    pair: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "tracks.txt"
    arguments = ["synthetic://?seed=1&people=4&frames=8&width=320&height=192", "--output", f"{text}", "--device", "cpu"]
    assert track([*arguments, "--models", f"{pair}", "--pair", "mine", "--k", "3"]) == 0
    told = capsys.readouterr().out
    assert "3 by the teacher, 5 by the student" in told and "know no appearance" in told


def test_the_student_says_what_the_shipped_one_says_but_for_looks(pair: Path) -> None:
    rng = np.random.default_rng(0)
    found = []
    for path in (SHIPPED_MODELS / "open-student.onnx", pair / "mine-student.onnx"):
        execution = OnnxEngine(path, 1, (96, 64)).prepare(1)
        rng = np.random.default_rng(0)
        execution.inputs["image"][:] = rng.integers(0, 256, (1, 3, 64, 96))
        execution.inputs["prior"][:] = rng.random((1, 1, 16, 24))
        execution.run(1, HostDevice().cuda_stream())
        found.append(execution.outputs)
    shipped, lent = found
    for name in ("points", "boxes", "scores"):
        np.testing.assert_allclose(lent[name], shipped[name], atol=1e-4)
    assert not lent["embeddings"].any() and shipped["embeddings"].any()


def outputs_of(path: Path, image: tuple[int | str, ...] = (1, 3, 64, 96), **outputs: np.ndarray) -> Path:
    """A network that answers the same to every picture."""
    node = helper.make_node
    nodes = [node("ReduceMin", ["images"], ["least"], keepdims=0), node("Mul", ["least", "zero"], ["nothing"])]
    nodes += [node("Add", [f"{name}.value", "nothing"], [name]) for name in outputs]
    constants = {f"{name}.value": value.astype(np.float32) for name, value in outputs.items()} | {"zero": np.float32(0)}
    graph = helper.make_graph(
        nodes,
        "same",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, image)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape) for name, value in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


ONES = np.ones((1, 50, 4))
REFUSED = {
    "no boxes": ({"logits": np.zeros((1, 1000))}, [], r"answers with 'logits' float32 \(1, 1000\).*with its decoding"),
    "heads without decoding": (
        {"p3": np.zeros((1, 255, 8, 12)), "p4": np.zeros((1, 255, 4, 6))},
        [],
        r"'p3' float32 \(1, 255, 8, 12\), 'p4'",
    ),
    "negative sizes": (
        {"output0": np.concatenate((np.full((1, 4, 126), -5), np.zeros((1, 80, 126))), 1)},
        [],
        r"output 'output0' should have boxes as centre, width, height; row 0 is \[-5",
    ),
    "corners that are none": (
        {"output0": np.concatenate((ONES * [9, 9, 1, 1], ONES[..., :2] * 0.5), 2)},
        [],
        r"output 'output0' should have boxes as left, top, right, bottom; row 0 is \[9",
    ),
    "numbers that are none": (
        {"boxes": ONES * np.nan, "logits": np.zeros((1, 50, 91))},
        [],
        r"output 'boxes' has numbers that are none on the test picture.*--mean, --std",
    ),
    "a class that is unknown": (
        {"pred_boxes": ONES * 0.5, "pred_logits": np.full((1, 50, 7), 0.1)},
        ["--class", "cow"],
        r"has no class 'cow'; it has no names, only numbers\. Say --class with one of them",
    ),
    "a class beyond the last": (
        {"pred_boxes": ONES * 0.5, "pred_logits": np.full((1, 50, 7), 0.1)},
        ["--class", "7"],
        r"output 'pred_logits' has 7 classes, 0 to 6; there is no class 7",
    ),
    "a size that it has not": ({"boxes": ONES}, ["--size", "64x64"], r"is for pictures of 96x64 alone, 64x64 was"),
}  # fmt: skip


@pytest.mark.parametrize("why", REFUSED)
def test_a_refusal_names_the_output_and_what_was_expected(
    why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs, more, message = REFUSED[why]
    assert adopt(outputs_of(tmp_path / "d.onnx", **outputs), "--output", tmp_path / "pair", *more) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("atttrack adopt: ") and "d.onnx" in line
    assert re.search(message, line), line
    assert not (tmp_path / "pair").exists()


@pytest.mark.parametrize("content", [b"", b"no model"])
def test_a_file_that_is_no_model_is_refused(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "d.onnx").write_bytes(content)
    assert adopt(tmp_path / "d.onnx", "--output", tmp_path) == 2
    assert "is no ONNX model" in capsys.readouterr().err or content == b""


def test_other_classes_than_people_get_no_student(
    detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert adopt(detector, "--output", tmp_path, "--class", "forklift") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["rectangles-teacher-320x192.onnx"]
    assert "--mode teacher" in capsys.readouterr().out
    assert OnnxEngine(tmp_path / "rectangles-teacher-320x192.onnx", 1).signature.classes == ("forklift",)


def test_a_detector_of_several_classes_is_adopted_tracked_and_counted(
    detector_of_three: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A person and two vehicles that are different to the detector pass each other."""
    scene = Drawn(((60, 66), (320, 192), (580, 318)), ((400, 0), (20, 0), (-350, 0)))  # blue, green, red
    write_clip(tmp_path / "street.mp4", (scene.frame(index).image for index in range(30)), scene.frame_rate)
    arguments = ["--output", tmp_path, "--pair", "street", "--class", "person=0", "vehicle=1,2"]
    assert adopt(detector_of_three, *arguments, "--picture", tmp_path / "street.mp4") == 0
    told = capsys.readouterr().out
    assert "person 0; vehicle 1, 2" in told and re.search(r"3 with a score above 0\.3.*: 1 person, 2 vehicle", told)
    text = tmp_path / "street.txt"
    film = [f"{tmp_path / 'street.mp4'}", "--output", f"{text}", "--mode", "teacher", "--device", "cpu"]
    assert track([*film, "--models", f"{tmp_path}", "--pair", "street", "--threads", "1"]) == 0
    told = capsys.readouterr().out
    assert "person: 1, vehicle: 2" in told and "classes in the text: 1 person, 14 vehicle" in told
    boxes = read_mot(text)
    for identity, number in zip(boxes.ids, boxes.classes, strict=True):
        starts = boxes.xyxy[boxes.ids == identity][0, 0]
        assert number == (1 if starts > 450 else 14), "who began on the right is red"
    assert len({*boxes.ids.tolist()}) == 3


def test_a_student_that_is_lent_all_the_same_does_not_say_what_it_sees(detector: Path, tmp_path: Path) -> None:
    assert adopt(detector, "--output", tmp_path, "--pair", "mine", "--class", "forklift", "--student") == 0
    assert OnnxEngine(tmp_path / "mine-student.onnx", 1).signature.classes == ()
    backend = open_backend(tmp_path, SIZE, "cpu", "atttrack", "mine", threads=1)
    assert backend.classes == ("forklift",)


def test_a_picture_is_stretched_where_the_detector_wants_that(detector: Path, tmp_path: Path) -> None:
    """Boxes come back in the pixels of the larger input."""
    assert adopt(detector, "--output", tmp_path, "--fit", "stretch", "--size", "640x192", "--no-student") == 0
    execution = OnnxEngine(tmp_path / "rectangles-teacher-640x192.onnx", 1).prepare(1)
    execution.inputs["image"][:] = 30
    execution.inputs["image"][0, :, 60:120, 200:256] = 255
    execution.run(1, HostDevice().cuda_stream())
    np.testing.assert_allclose(execution.outputs["boxes"][0, 0], [200, 60, 256, 120], atol=6)
