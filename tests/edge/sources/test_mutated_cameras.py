"""Cameras that say something else than they should, for real, and a good one beside them."""

from pathlib import Path

from testbed.clips import numbered_image, read_clip, write_clip
from testbed.mutated_cameras import RUDE, fuzz


def test_texts_for_programmers_and_secrets_are_found() -> None:
    for text in (
        "ValueError: x",
        "an SSLError",
        "Traceback (most",
        "admin:s3cret",
        "<Foo object at 0x7f>",
        "[Errno 5]",
    ):
        assert RUDE.search(text)
    assert not RUDE.search("rtsp://camera:554/live refused the credentials; check user name and password")


def test_mutated_cameras_end_in_words_and_cost_their_neighbour_no_frame(tmp_path: Path) -> None:
    """`make fuzz ARGS="--cameras 2000"` does so at length."""
    clip = read_clip(write_clip(tmp_path / "clip.mp4", map(numbered_image, range(20)), 10))
    report = fuzz([clip], 12, at_once=12, seed=11)
    assert report.wrong == []
    assert report.told.total() == 12
    assert report.told["pictures"] > 0, "a byte that is wrong is no reason to give up"
    assert report.neighbours[0] > 5
