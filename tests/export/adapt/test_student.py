"""A trained student as a model file: of the shipped one's shape, or with embeddings of another length."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from engines.errors import ModelFileError
from engines.onnx_engine import OnnxEngine
from engines.signature import Signature
from export.adapt.student import (
    SHIPPED_STUDENT,
    SHIPPED_WEIGHTS,
    adapting_recipe,
    begin_student,
    export_student,
    refill,
)
from export.precision import read_model
from training.weights import load_network

pytestmark = pytest.mark.training


def teacher(pair: str = "cars", dimension: int = 1, appearance: str = "none", classes: tuple[str, ...] = ("car",)):
    return Signature(
        "teacher", 192, 320, 16, dimension, pair, "template", appearance=appearance, classes=classes
    )  # fmt: skip


def disturbed(path: Path) -> Path:
    """Weights that are the shipped ones, a little off."""
    record = torch.load(SHIPPED_WEIGHTS, weights_only=True)
    generator = torch.Generator().manual_seed(0)
    for value in record["network"].values():
        value += 0.02 * value.abs().mean() * torch.randn(value.shape, generator=generator)
    torch.save(record, path)
    return path


def test_the_shipped_weights_make_the_shipped_file() -> None:
    shipped = read_model(SHIPPED_STUDENT)
    before = [numpy_helper.to_array(tensor) for tensor in shipped.graph.initializer]
    refilled = refill(shipped, load_network(SHIPPED_WEIGHTS)[0])
    for old, new in zip(before, refilled.graph.initializer, strict=True):
        np.testing.assert_allclose(numpy_helper.to_array(new), old, rtol=2e-3, atol=1e-6)


def test_a_file_says_what_its_weights_say_and_names_the_teachers_class(tmp_path: Path) -> None:
    """Parity with torch is part of the export, which raises where there is none."""
    export_student(disturbed(tmp_path / "weights.pt"), teacher(), tmp_path / "student.onnx")
    signature = OnnxEngine(tmp_path / "student.onnx", None, (160, 96)).signature
    assert (signature.pair, signature.classes, signature.appearance) == ("cars", ("car",), "none")
    assert signature.embedding_dim == 1


def test_of_several_classes_it_does_not_say_which(tmp_path: Path) -> None:
    both = teacher(classes=("car", "bus"))
    export_student(disturbed(tmp_path / "weights.pt"), both, tmp_path / "student.onnx")
    assert OnnxEngine(tmp_path / "student.onnx").signature.classes == ()


def test_a_teacher_with_looks_of_another_length_gets_a_student_with_the_same() -> None:
    network = begin_student(SHIPPED_WEIGHTS, teacher(dimension=7, appearance="embeddings"))
    maps = network.eval()(torch.zeros(1, 3, 64, 96), torch.zeros(1, 1, 16, 24))
    assert maps["id"].shape[1] == network.embedding == 7
    same = begin_student(SHIPPED_WEIGHTS, teacher("open", 128, "embeddings", ("person",)))
    shipped, _ = load_network(SHIPPED_WEIGHTS)
    for name, value in shipped.state_dict().items():
        assert torch.equal(same.state_dict()[name], value)


def test_weights_of_another_shape_are_refused() -> None:
    other = begin_student(SHIPPED_WEIGHTS, teacher(dimension=7, appearance="embeddings"))
    with pytest.raises(ModelFileError, match=r"look\.4\.weight is \(7, 96, 1, 1\), the shipped student's \(128, 96"):
        refill(onnx.load(SHIPPED_STUDENT), other)


def test_the_recipe_is_of_the_pair_and_its_size() -> None:
    recipe = adapting_recipe("cars", (160, 96))
    assert (recipe.pair, recipe.all_sizes) == ("cars", (((160, 96),), (1.0,)))
    assert not recipe.images and not recipe.sequences
