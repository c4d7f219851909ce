from dataclasses import replace

import numpy as np
import pytest

from engines.errors import EngineError
from engines.signature import Signature, SignatureError, check_pair

TEACHER = Signature("teacher", 320, 576, 300, 64, "yolo", "yolo-base")
STUDENT = Signature("student", 320, 576, 300, 64, "yolo", "yolo-small", prior=True)


def test_empty_metadata_names_everything_that_is_missing() -> None:
    with pytest.raises(SignatureError, match=r"a\.onnx has no metadata \['role', 'height'"):
        Signature.from_metadata({}, "a.onnx")


@pytest.mark.parametrize("signature", [TEACHER, STUDENT])
def test_metadata_survives_the_file(signature: Signature) -> None:
    assert Signature.from_metadata(signature.to_metadata()) == signature


def test_shapes_follow_from_the_size() -> None:
    assert STUDENT.input_arrays(2) == {
        "image": ((2, 3, 320, 576), np.uint8),
        "prior": ((2, 1, 80, 144), np.float32),
    }
    assert list(STUDENT.output_arrays(2)) == ["points", "boxes", "scores", "embeddings"]
    assert TEACHER.output_arrays(1)["heatmap"] == ((1, 1, 80, 144), np.float32)
    assert TEACHER.output_arrays(5)["embeddings"] == ((5, 300, 64), np.float32)


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("schema", "atttrack/9", "speaks contract 'atttrack/9'"),
        ("role", "parent", "role must be"),
        ("mapping", "xfm", "mapping must be"),
        ("appearance", "nice", "appearance must be"),
        ("height", "322", "multiples of 32"),
        ("height", "tall", "invalid literal"),
        ("peaks", "0", "peaks and embedding_dim"),
        ("prior", "True", "a teacher takes no prior"),
    ],
)
def test_bad_metadata_is_refused_with_the_files_name(entry: str, value: str, message: str) -> None:
    metadata = {**TEACHER.to_metadata(), entry: value}
    with pytest.raises(SignatureError, match=rf"^a\.onnx: .*{message}"):
        Signature.from_metadata(metadata, "a.onnx")


def test_a_pair_that_belongs_together_passes() -> None:
    check_pair(TEACHER, STUDENT)
    check_pair(TEACHER, replace(STUDENT, width=320, height=192))  # each may have a size of its own


@pytest.mark.parametrize(
    ("name", "value"),
    [("pair", "dla"), ("embedding_dim", 128), ("mapping", "efm")],
)
def test_a_pair_that_differs_is_refused_by_the_name_of_the_difference(name: str, value: object) -> None:
    with pytest.raises(SignatureError, match=f"do not fit: .*{name} is"):
        check_pair(TEACHER, replace(STUDENT, **{name: value}))


def test_two_teachers_are_no_pair() -> None:
    with pytest.raises(EngineError, match="got a teacher and a teacher"):
        check_pair(TEACHER, TEACHER)
