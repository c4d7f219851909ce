"""A file is the old one or the new one, never a part."""

from pathlib import Path

import pytest

from engines.files import whole


def test_nothing_is_there_before_the_end_and_the_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.json"
    with whole(path) as partial:
        partial.write_text("all of it")
        assert not path.exists()
    assert path.read_text() == "all of it"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_leaves_the_file_of_before_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="disk"), whole(path) as partial:
        partial.write_text("half")
        raise RuntimeError("disk")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
