"""Pictures through shared memory."""

import fcntl
import os
from collections.abc import Iterator

import numpy as np
import pytest

from edge.sources.decoder.ring import SLOTS, PictureRing

MAX_PIXELS = 64 * 48


@pytest.fixture
def both_ends() -> Iterator[tuple[PictureRing, PictureRing]]:
    reader, fd = PictureRing.create(MAX_PIXELS)
    writer = PictureRing(fd, MAX_PIXELS)
    os.close(fd)
    yield writer, reader
    writer.close()
    reader.close()


def test_pictures_of_any_size_arrive_as_they_were_and_stay_so(both_ends: tuple[PictureRing, PictureRing]) -> None:
    writer, reader = both_ends
    rng = np.random.default_rng(0)
    sizes = [(64, 48), (1, 1), (48, 64), (63, 47)][:SLOTS]
    images = [rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for width, height in sizes]
    for slot, image in enumerate(images):
        writer.write(slot, image)
    received = [reader.read(slot, *size) for slot, size in enumerate(sizes)]
    for slot in range(SLOTS):
        writer.write(slot, np.zeros((48, 64, 3), np.uint8))
    for got, image in zip(received, images, strict=True):
        np.testing.assert_array_equal(got, image)
        assert got.flags.c_contiguous and got.flags.writeable


@pytest.mark.parametrize(
    ("slot", "width", "height"), [(-1, 8, 8), (SLOTS, 8, 8), (0, 0, 8), (0, 8, 0), (0, 65, 2**20), (0, 2**31, 2**31)]
)
def test_what_no_slot_can_hold_is_refused(
    both_ends: tuple[PictureRing, PictureRing], slot: int, width: int, height: int
) -> None:
    with pytest.raises(ValueError, match="slot"):
        both_ends[1].read(slot, width, height)


def test_memory_cannot_be_taken_away_from_the_reader() -> None:
    """A truncated file would kill whoever reads the mapping."""
    ring, fd = PictureRing.create(MAX_PIXELS)
    with pytest.raises(PermissionError):
        os.ftruncate(fd, 0)
    assert fcntl.fcntl(fd, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK
    os.close(fd)
    ring.close()
