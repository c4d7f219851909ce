"""MOT17's three copies of a sequence are one sequence."""

from pathlib import Path

import pytest

from edge.tracking.mot_folders import data_folder, sequence_folder, sequence_name, sequences_folder


def test_what_is_not_there_is_named_as_it_was_asked_for(tmp_path: Path) -> None:
    assert sequence_folder(tmp_path, "MOT17-02") == tmp_path / "MOT17-02"


def test_data_may_be_named_by_its_sequences_and_sequences_may_lie_in_it_themselves(tmp_path: Path) -> None:
    assert sequences_folder(tmp_path) == tmp_path, "MOTChallenge's own folders have no sequences/"
    (tmp_path / "sequences").mkdir()
    assert sequences_folder(tmp_path) == tmp_path / "sequences"
    assert sequences_folder(tmp_path / "sequences") == tmp_path / "sequences"
    assert data_folder(str(tmp_path)) == data_folder(str(tmp_path / "sequences")) == tmp_path


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        (["MOT17-02", "MOT17-02-SDP"], "MOT17-02"),
        (["MOT17-02-DPM", "MOT17-02-FRCNN", "MOT17-02-SDP"], "MOT17-02-FRCNN"),
        (["MOT17-02-DPM", "MOT17-04-SDP"], "MOT17-02-DPM"),
    ],
)
def test_one_of_the_copies_is_taken(tmp_path: Path, there: list[str], taken: str) -> None:
    for name in there:
        (tmp_path / name).mkdir()
    assert sequence_folder(tmp_path, "MOT17-02") == tmp_path / taken


@pytest.mark.parametrize("name", ["MOT17-02-DPM", "MOT17-02-FRCNN", "MOT17-02-SDP", "MOT17-02"])
def test_copies_have_the_name_of_their_sequence(name: str) -> None:
    assert sequence_name(Path("train", name)) == "MOT17-02"


@pytest.mark.parametrize("name", ["TUD-Campus", "lobby-SDP", "MOT17-02-SDP-short", "MOT20-01"])
def test_other_folders_keep_their_name(name: str) -> None:
    assert sequence_name(Path("train", name)) == name
