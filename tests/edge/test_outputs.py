import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.outputs import check_outputs

SAME: dict[str, Callable[[Path, Path], None]] = {
    "a link": lambda source, other: other.symlink_to(source),
    "a link to a link": lambda source, other: (
        (source.parent / "a").symlink_to(source),
        other.symlink_to(source.parent / "a"),
    )[0],
    "a hard link": lambda source, other: os.link(source, other),
}


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film 1.mp4"
    path.write_bytes(b"film")
    return path


def test_no_outputs_are_all_right(film: Path) -> None:
    check_outputs(str(film), {})


@pytest.mark.parametrize("option", ["--output", "--video"])
def test_the_source_itself_is_refused_by_any_name(film: Path, option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(film.parent)
    (film.parent / "sub").mkdir()
    for name in (film, Path("film 1.mp4"), Path("./sub/../film 1.mp4")):
        with pytest.raises(ValueError, match=rf"{option} .* is the source"):
            check_outputs("film 1.mp4", {option: name})
    with pytest.raises(ValueError, match="is the source"):
        check_outputs(film.as_uri(), {option: film})


@pytest.mark.parametrize("make", SAME.values(), ids=SAME.keys())
@pytest.mark.parametrize("turned", [False, True])
def test_links_hide_nothing(film: Path, make: Callable[[Path, Path], None], turned: bool) -> None:
    other = film.parent / "other.mp4"
    make(film, other)
    source, output = (other, film) if turned else (film, other)
    with pytest.raises(ValueError, match="is the source"):
        check_outputs(str(source), {"--video": output})
    assert film.read_bytes() == b"film"


def test_parts_of_a_sequence_are_refused_and_new_files_in_it_are_not(tmp_path: Path) -> None:
    (tmp_path / "img1").mkdir()
    for name in ("seqinfo.ini", "gt.txt", "img1/000001.jpg"):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(ValueError, match="part of it"):
            check_outputs(str(tmp_path), {"--output": tmp_path / name})
    check_outputs(str(tmp_path), {"--output": tmp_path / "tracks.txt"})


def test_two_outputs_are_two_files(film: Path) -> None:
    (film.parent / "linked").symlink_to(film.parent / "there.txt")
    (film.parent / "there.txt").touch()
    for one, other in (("new.mp4", "new.mp4"), ("new.mp4", "./new.mp4"), ("there.txt", "linked")):
        with pytest.raises(ValueError, match="--output and --video are one file"):
            check_outputs(str(film), {"--output": film.parent / one, "--video": film.parent / other})
    check_outputs(str(film), {"--output": film.parent / "a.txt", "--video": film.parent / "a.mp4"})
    check_outputs(str(film), {"--output": Path(os.devnull), "--video": Path(os.devnull)})


@pytest.mark.parametrize("source", ["rtsp://camera/x", "synthetic://?seed=1", "nothing.mp4"])
def test_sources_that_are_no_files_forbid_nothing(source: str, film: Path) -> None:
    check_outputs(source, {"--output": film})
