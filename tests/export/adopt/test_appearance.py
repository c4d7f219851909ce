"""Looks from a network on crops: whose embedding is where, and that they lead the tracker."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge.pipeline.backend import open_backend
from edge.pipeline.config import LaneSettings, PipelineSettings
from edge.pipeline.pipeline import TrackingPipeline
from engines.host import HostDevice
from engines.onnx_engine import OnnxEngine
from export.adopt.command import main
from tests.support.drawn import Drawn

SIZE = (320, 192)
RED, GREEN = (255, 40, 40), (40, 255, 40)


def colour_network(path: Path, batch: int | str, output: tuple[int | str, ...]) -> Path:
    """A network that says of a crop (batch, 3, 16, 8) what its mean colour is, in the order in which it gets them."""
    node = helper.make_node
    nodes = [
        node("ReduceMean", ["crop"], ["mean"], axes=[2, 3], keepdims=0),
        node("Reshape", ["mean", "shape"], ["numbers"]),
    ]
    graph = helper.make_graph(
        nodes,
        "colour",
        [helper.make_tensor_value_info("crop", TensorProto.FLOAT, (batch, 3, 16, 8))],
        [helper.make_tensor_value_info("numbers", TensorProto.FLOAT, output)],
        [numpy_helper.from_array(np.array([-1, *output[1:]]), "shape")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize(("batch", "output"), [(1, (1, 3)), ("batch", ("batch", 3, 1, 1))])
def test_each_person_has_the_look_of_their_crop(
    detector: Path, tmp_path: Path, batch: int | str, output: tuple[int | str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    looks = colour_network(tmp_path / "looks.onnx", batch, output)
    options = ["--appearance", f"{looks}", "--appearance-pixels", "bgr", "--no-student", "--pair", "mine"]
    assert main([f"{detector}", "--output", f"{tmp_path}", *options]) == 0
    assert "'numbers': 3 numbers" in capsys.readouterr().out
    execution = OnnxEngine(tmp_path / "mine-teacher-320x192.onnx", 1).prepare(2)
    assert execution.outputs["embeddings"].shape == (2, 300, 3)
    picture = execution.inputs["image"]
    picture[:] = 30
    for row, left, colour in ((0, 120, RED), (1, 40, RED), (1, 200, GREEN)):
        picture[row, :, 60:120, left : left + 28] = np.array(colour, np.uint8)[:, None, None]
    execution.run(2, HostDevice().cuda_stream())
    found, boxes = execution.outputs["embeddings"], execution.outputs["boxes"]
    sure = execution.outputs["scores"] > 0.4
    assert sure.sum(axis=1).tolist() == [1, 2]
    for row, person in zip(*sure.nonzero(), strict=True):
        left = boxes[row, person, 0]
        colour = GREEN if left > 180 else RED
        expected = np.array(colour[::-1]) / np.linalg.norm(colour)
        np.testing.assert_allclose(found[row, person], expected, atol=0.05)
    nobody = execution.outputs["scores"] == 0
    assert not found[nobody].any()


def test_who_comes_back_elsewhere_is_known_by_the_look(detector: Path, tmp_path: Path) -> None:
    """After an interruption, where motion says nothing; without looks, both would be somebody new."""
    looks = colour_network(tmp_path / "looks.onnx", 1, (1, 3))
    options = ["--appearance", f"{looks}", "--appearance-pixels", "bgr", "--pair", "mine"]
    assert main([f"{detector}", "--output", f"{tmp_path}", *options]) == 0
    backend = open_backend(tmp_path, SIZE, "cpu", "atttrack", "mine", threads=1)
    assert [one.appearance for one in backend.signatures] == ["embeddings", "none"]
    pipeline = TrackingPipeline(backend, PipelineSettings(LaneSettings(mode="teacher"), max_lanes=1))
    pipeline.add_lane("door")
    scene = Drawn(((60, 66), (320, 192)), ((0, 0), (0, 0)))
    changed = Drawn(((320, 192), (60, 66)), ((0, 0), (0, 0)))
    for index in range(4):
        frame = (scene if index < 2 else changed).frame(index)
        frame = replace(frame, session=int(index >= 2))
        (tracked,) = pipeline.collect(pipeline.submit({"door": frame}))
        assert tracked.tracks.ids.tolist() == [1, 2]
        left = tracked.tracks.xyxy[:, 0]
        assert (left[0] < left[1]) == (index < 2)


def test_a_network_that_gives_no_embedding_is_refused_by_its_outputs(
    detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    looks = colour_network(tmp_path / "looks.onnx", 1, (1, 1, 1, 3))
    model = onnx.load(looks)
    model.graph.output.append(helper.make_tensor_value_info("mean", TensorProto.FLOAT, (1, 3)))
    onnx.save(model, looks)
    assert main([f"{detector}", "--output", f"{tmp_path}", "--appearance", f"{looks}"]) == 2
    assert "expected one output (1, D)" in capsys.readouterr().err and not list(tmp_path.glob("*teacher*"))
