"""Files of a stream's students outlive the service, and no more of them are kept than can be gone back to."""

from pathlib import Path

import pytest

from service.adaptation.students import Standing, Students
from service.adaptation.training import Predecessor


def learn(students: Students, number: int, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "student.onnx").write_text(f"student {number}")
    (folder / "weights.pt").write_text(f"weights {number}")
    students.add(number, folder)


def test_at_the_beginning_the_pairs_own_is_in_force_and_no_folder_is_made(tmp_path: Path) -> None:
    students = Students(tmp_path / "door")
    assert students.read() == Standing(0, None, 0)
    assert students.predecessor(0) is None
    students.forget()
    assert list(tmp_path.iterdir()) == []


def test_another_process_finds_what_was_in_force(tmp_path: Path) -> None:
    students = Students(tmp_path / "door")
    learn(students, 3, tmp_path / "round")
    students.write(Standing(3, 0, 3))
    assert Students(tmp_path / "door").read() == Standing(3, 0, 3)
    assert students.path(3).read_text() == "student 3"
    assert students.predecessor(3) == Predecessor(tmp_path / "door" / "3.onnx", tmp_path / "door" / "3.pt")
    assert (tmp_path / "door").stat().st_mode & 0o777 == 0o700


def test_of_many_rounds_two_students_are_kept(tmp_path: Path) -> None:
    students = Students(tmp_path / "door")
    for number in range(1, 6):
        learn(students, number, tmp_path / "round")
        students.write(Standing(number, number - 1, number))
    assert sorted(one.name for one in (tmp_path / "door").iterdir()) == [
        "4.onnx",
        "4.pt",
        "5.onnx",
        "5.pt",
        "standing.json",
    ]
    students.forget()
    assert not (tmp_path / "door").exists()


@pytest.mark.parametrize("damage", ["no json", "[]", '{"current": 9}', '{"strange": 1}'])
def test_what_cannot_be_read_is_a_beginning(tmp_path: Path, damage: str) -> None:
    (tmp_path / "standing.json").write_text(damage)
    assert Students(tmp_path).read() == Standing()
