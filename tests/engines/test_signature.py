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


CARS = replace(TEACHER, classes=("person", 'a "heavy" lorry'))


@pytest.mark.parametrize("signature", [TEACHER, STUDENT, CARS, replace(STUDENT, classes=())])
def test_metadata_survives_the_file(signature: Signature) -> None:
    assert Signature.from_metadata(signature.to_metadata()) == signature


def test_a_file_that_names_no_classes_sees_people() -> None:
    metadata = TEACHER.to_metadata()
    del metadata["classes"]
    assert Signature.from_metadata(metadata).classes == ("person",)


def test_who_sees_several_classes_says_which() -> None:
    assert list(CARS.output_arrays(2)) == ["heatmap", "points", "boxes", "scores", "embeddings", "classes"]
    assert CARS.output_arrays(2)["classes"] == ((2, 300), np.int32)


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
        ("classes", "person", "classes should be a JSON list of names"),
        ("classes", '{"car": 1}', "classes should be a JSON list of names"),
        ("classes", '["car", 3]', "classes should be a JSON list of names"),
        ("classes", "[]", "a teacher must name its classes"),
        ("classes", '["car", ""]', "a class's name should have 1 to 100 letters"),
        ("classes", '["car", "car"]', "each class should have a name of its own, got car, car"),
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


@pytest.mark.parametrize("classes", [(), ("person",), CARS.classes[::-1]])
def test_a_student_may_see_some_of_what_its_teacher_sees_or_not_say(classes: tuple[str, ...]) -> None:
    check_pair(CARS, replace(STUDENT, classes=classes))


def test_a_student_of_other_things_is_refused() -> None:
    with pytest.raises(SignatureError, match="the student sees cow, the teacher only person"):
        check_pair(TEACHER, replace(STUDENT, classes=("person", "cow")))


def test_two_teachers_are_no_pair() -> None:
    with pytest.raises(EngineError, match="got a teacher and a teacher"):
        check_pair(TEACHER, TEACHER)
