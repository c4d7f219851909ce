"""When a picture counts as frozen, with pictures that went through a codec."""

from collections.abc import Iterable, Iterator
from itertools import pairwise

import av
import numpy as np
import pytest

from edge.arrays import U8
from edge.sources.decoder.pictures import FrozenPicture
from tests.conftest import ClipFactory

RATE = 5.0
AFTER_S = 10.0
WIDTH, HEIGHT = 160, 96


def still() -> U8:
    """A scene with fine and coarse detail, without noise."""
    rng = np.random.default_rng(0)
    coarse = np.kron(rng.integers(60, 190, (HEIGHT // 16, WIDTH // 16, 3)), np.ones((16, 16, 1)))
    return (coarse + rng.integers(-6, 7, coarse.shape)).astype(np.uint8)


def noisy(seconds: float, sigma: float) -> Iterator[U8]:
    """The same scene as a sensor sees it."""
    scene, rng = still(), np.random.default_rng(1)
    for _ in range(round(seconds * RATE)):
        yield np.clip(np.round(scene + rng.normal(0, sigma, scene.shape)), 0, 255).astype(np.uint8)


def verdicts(pictures: Iterable[av.VideoFrame]) -> list[bool]:
    frozen = FrozenPicture(AFTER_S)
    return [frozen.look(picture, i / RATE) for i, picture in enumerate(pictures)]


def decoded(clip: object) -> list[av.VideoFrame]:
    with av.open(str(clip)) as container:
        return list(container.decode(video=0))


@pytest.mark.parametrize("gop_s", [1, 4, 8])
def test_still_scene_from_a_noisy_camera_is_never_frozen(make_clip: ClipFactory, gop_s: int) -> None:
    """The noise is so faint that the encoder repeats many pictures exactly between two key pictures."""
    pictures = decoded(make_clip(noisy(40, 0.3), frame_rate=RATE, gop=int(gop_s * RATE)))
    prints = [bytes(picture.planes[0]) for picture in pictures]
    assert gop_s == 1 or sum(a == b for a, b in pairwise(prints)) > len(prints) / 10
    assert not any(verdicts(pictures))


def test_stuck_sensor_behind_a_living_encoder_is_frozen_after_its_time(make_clip: ClipFactory) -> None:
    pictures = decoded(make_clip((still() for _ in range(150)), frame_rate=RATE, gop=10))
    said = verdicts(pictures)
    first = said.index(True)
    assert AFTER_S <= first / RATE <= AFTER_S + 12
    assert all(said[first:])


def test_three_equal_key_pictures_are_needed_however_far_apart(make_clip: ClipFactory) -> None:
    pictures = decoded(make_clip((still() for _ in range(200)), frame_rate=RATE, gop=60))
    keys = [i for i, picture in enumerate(pictures) if picture.key_frame]
    assert keys == [0, 60, 120, 180]
    assert not any(verdicts(pictures)[:120])


def test_one_changed_pixel_ends_it() -> None:
    frozen = FrozenPicture(AFTER_S)

    def show(image: U8, begin_s: float, seconds: float) -> list[bool]:
        picture = _KeyPicture(av.VideoFrame.from_ndarray(image, format="gray"))
        return [frozen.look(picture, begin_s + i / RATE) for i in range(int(seconds * RATE))]

    image = np.full((48, 64), 90, np.uint8)
    assert show(image, 0, 12)[-1]
    image[5, 5] += 1
    assert not any(show(image, 12, 9))


class _KeyPicture:
    """A picture that says it is a key picture; PyAV lets only decoders say so."""

    key_frame = True

    def __init__(self, picture: av.VideoFrame) -> None:
        self.planes = picture.planes
