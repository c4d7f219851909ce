"""A kit is unpacked once, packages to one side and data to the other."""

import tarfile
import zipfile
from pathlib import Path

import pytest

from training.kit import unpack


def test_an_empty_kit_is_refused_with_the_command_that_packs_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="make gpu-train-kit"):
        unpack(tmp_path, tmp_path / "work")


def test_parts_of_a_kit_are_put_together_again(tmp_path: Path) -> None:
    for part in ("1", "2"):
        folder = tmp_path / "kit" / part
        folder.mkdir(parents=True)
        (tmp_path / "text").write_text(part)
        with tarfile.open(folder / f"data-{part}.tar", "w") as archive:
            archive.add(tmp_path / "text", f"sequences/{part}/gt.txt")
        with zipfile.ZipFile(folder / f"package{part}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"package{part}.py", "")
    site, data = unpack(tmp_path / "kit", tmp_path / "work")
    assert data is not None
    assert {path.name for path in site.glob("*.py")} == {"package1.py", "package2.py"}
    assert [(data / "sequences" / part / "gt.txt").read_text() for part in ("1", "2")] == ["1", "2"]
    (site / "package1.py").unlink()
    assert unpack(tmp_path / "kit", tmp_path / "work") == (site, data)
    assert not (site / "package1.py").exists(), "unpacked once"
