"""The detector that these tests adopt."""

from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from tests.support.tiny_pair import CLASSES, signature, tiny_model


@pytest.fixture(scope="session")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector that sees bright rectangles at 320x192: its outputs are `boxes` (B, 16, 4) and `scores` (B, 16)."""
    model = tiny_model(signature("teacher", (320, 192)))
    kept = [value for value in model.graph.output if value.name in ("boxes", "scores")]
    del model.graph.output[:], model.metadata_props[:]
    model.graph.output.extend(kept)
    path = tmp_path_factory.mktemp("detector") / "rectangles.onnx"
    onnx.save(model, path)
    return path


@pytest.fixture(scope="session")
def detector_of_three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with labels: 0 for a red rectangle, 1 for a green one, 2 for a blue one."""
    model = tiny_model(replace(signature("teacher", (320, 192)), classes=CLASSES))
    kept = [value for value in model.graph.output if value.name in ("boxes", "scores", "classes")]
    del model.graph.output[:], model.metadata_props[:]
    model.graph.output.extend(kept)
    path = tmp_path_factory.mktemp("detector") / "colours.onnx"
    onnx.save(model, path)
    return path
