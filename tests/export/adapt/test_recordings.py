"""Which films are found, and which stretches of them are looked at."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sources.base import SourceError
from edge.video_writer import VideoWriter
from export.adapt.recordings import Recording, choose_stretches, find_recordings, frames_of
from tests.support.drawn import Drawn


def write_film(path: Path, frames: int) -> Path:
    scene = Drawn(((60, 66),), ((100, 0),), 160, 96)
    with VideoWriter(path) as film:
        for index in range(frames):
            film.write(scene.frame(index).image, index / 30)
    return path


def test_an_empty_folder_is_refused_with_what_it_should_hold(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no film in it; expected files such as hall\.mp4"):
        find_recordings(tmp_path)
    with pytest.raises(ValueError, match=r"there is no .*; --video takes a film, or a folder"):
        find_recordings(tmp_path / "nothing")


def test_a_file_that_is_no_film_is_named(tmp_path: Path) -> None:
    (tmp_path / "hall.mp4").write_bytes(b"this is no film")
    with pytest.raises(SourceError, match=r"hall\.mp4"):
        find_recordings(tmp_path)


def test_recordings_that_are_too_short_are_refused(tmp_path: Path) -> None:
    write_film(tmp_path / "short.mp4", 20)
    with pytest.raises(ValueError, match="has 20 frames, too few to learn from"):
        find_recordings(tmp_path)


def test_films_are_found_in_the_order_of_names_and_other_files_left_out(tmp_path: Path) -> None:
    for name in ("b.mp4", "a.mp4"):
        write_film(tmp_path / name, 40)
    (tmp_path / "notes.txt").write_text("of Monday")
    (tmp_path / "._a.mp4").write_bytes(b"left by another system")
    found = find_recordings(tmp_path)
    assert [(one.path.name, one.frames) for one in found] == [("a.mp4", 40), ("b.mp4", 40)]
    assert find_recordings(write_film(tmp_path / "one.mp4", 60))[0].frames == 60


def test_a_stretch_has_the_frames_that_it_says(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", 90)
    (recording,) = find_recordings(film)
    stretches = choose_stretches([recording], 90)
    seen = [(stretch.kept, frame.index) for stretch, frame in frames_of(recording, stretches[::-1])]
    assert seen == [(index >= 72, index) for index in range(90)]


@given(st.lists(st.integers(1, 200_000), min_size=1, max_size=5), st.integers(1, 300_000))
def test_stretches_lie_inside_their_part_and_apart_from_each_other(lengths: list[int], most: int) -> None:
    recordings = [Recording(Path(f"{number}.mp4"), frames, 25.0) for number, frames in enumerate(lengths)]
    stretches = choose_stretches(recordings, most)
    for recording in recordings:
        mine = sorted((one for one in stretches if one.recording == recording), key=lambda one: one.first)
        for one in mine:
            low, high = (recording.first_kept, recording.frames) if one.kept else (0, recording.first_kept)
            assert low <= one.first < one.last <= high
        assert all(a.last <= b.first for a, b in pairwise(mine))
    if most >= sum(lengths):
        assert sum(map(len, stretches)) == sum(lengths)
    else:
        assert sum(map(len, stretches)) <= most + len(lengths) * (60 + 150) + 0.5 * most
