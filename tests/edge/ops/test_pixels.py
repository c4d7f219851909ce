"""Pictures in their three forms."""

import numpy as np
import pytest

from edge.arrays import U8
from edge.ops.cuda_ops import CudaOps
from edge.ops.host import HostOps
from edge.ops.letterbox import Letterbox
from edge.ops.pixels import (
    BT601,
    BT601_FULL,
    BT709,
    BT709_FULL,
    COLOURS,
    Colours,
    Nv12,
    Pixels,
    Surface,
    as_bgr,
    coloured,
    nv12_to_bgr,
    size_of,
)
from edge.sources.base import Frame
from engines.cuda_device import CudaDevice, CudaEvent, CudaQueue
from engines.host import HostStream
from tests.support.host_driver import stand_in_gpu, statistic

PITCH = 192


@pytest.fixture
def device() -> CudaDevice:
    return stand_in_gpu()


def noise(seed: int, *shape: int) -> U8:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def surface(device: CudaDevice, nv12: U8, colours: Colours = BT601) -> Surface:
    """The picture on the device, its rows apart and its chroma elsewhere."""
    height, queue = nv12.shape[0] * 2 // 3, device.cuda_stream()
    planes = []
    for rows in (nv12[:height], nv12[height:]):
        wide = np.full((len(rows), PITCH), 0xEE, np.uint8)
        wide[:, : nv12.shape[1]] = rows
        planes.append(device.empty(wide.shape, np.uint8))
        device.copy(wide, planes[-1], queue)
    return Surface(planes[0], planes[1], nv12.shape[1], queue.record(), device, colours=colours)


def test_bgr_stays_the_array_that_it_is() -> None:
    image = noise(0, 6, 8, 3)
    assert size_of(image) == (8, 6) and as_bgr(image) is image
    frame = Frame(image, 0, 0.0, 0.0, "media")
    assert frame.image is image and frame.size == (8, 6)


def test_nv12_has_the_pictures_size_and_the_letterboxs_colours() -> None:
    nv12, out = noise(1, 48, 64), np.empty((1, 3, 32, 64), np.uint8)
    frame = Frame(nv12, 0, 0.0, 0.0, "media")
    assert frame.size == (64, 32)
    HostOps().letterbox([nv12], [Letterbox(64, 32, 64, 32)], out, HostStream())
    assert np.array_equal(frame.image, out[0, ::-1].transpose(1, 2, 0))


def test_a_surface_comes_to_the_host_as_it_was(device: CudaDevice) -> None:
    nv12 = noise(2, 48, 64)
    there = surface(device, nv12)
    assert size_of(there) == (64, 32)
    assert np.array_equal(there.download(), nv12) and there.download().flags.c_contiguous
    assert np.array_equal(as_bgr(there), as_bgr(nv12))


def letterboxed(device: CudaDevice, images: list[Pixels], sizes: list[tuple[int, int]], queue: CudaQueue) -> U8:
    out = device.empty((len(images), 3, 32, 64), np.uint8)
    CudaOps(device, b"\x7fELF kernels").letterbox(images, [Letterbox(*size, 64, 32) for size in sizes], out, queue)
    back = device.host_empty(out.shape, np.uint8)
    device.copy(out, back, queue)
    queue.synchronize()
    return np.array(back)


@pytest.mark.parametrize("size", [(64, 32), (90, 46), (2, 2), (88, 94)])
def test_surfaces_and_arrays_share_a_batch_bit_for_bit(device: CudaDevice, size: tuple[int, int]) -> None:
    w, h = size
    nv12, bgr = noise(3, h * 3 // 2, w), noise(4, h, w, 3)
    images: list[Pixels] = [surface(device, nv12), bgr, nv12, surface(device, nv12[::-1].copy())]
    expected = np.empty((4, 3, 32, 64), np.uint8)
    HostOps().letterbox([nv12, bgr, nv12, nv12[::-1].copy()], [Letterbox(w, h, 64, 32)] * 4, expected, HostStream())
    assert np.array_equal(letterboxed(device, images, [size] * 4, device.cuda_stream()), expected)
    again = np.empty_like(expected)
    HostOps().letterbox(images, [Letterbox(w, h, 64, 32)] * 4, again, HostStream())
    assert np.array_equal(again, expected), "the specification takes surfaces, too"


def test_of_a_surface_no_pixel_is_copied_and_it_is_waited_for(
    device: CudaDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, box = surface(device, noise(5, 96, 90)), Letterbox(90, 64, 64, 32)
    ops, queue = CudaOps(device, b"\x7fELF kernels"), device.cuda_stream()
    out = device.empty((1, 3, 32, 64), np.uint8)
    ops.letterbox([there], [box], out, queue)  # the tables of this size go once
    waited: list[CudaEvent] = []
    monkeypatch.setattr(CudaQueue, "wait", lambda self, event: waited.append(event))
    before = statistic("copied")
    ops.letterbox([there], [box], out, queue)
    assert statistic("copied") - before <= 256, "one row of the kernel's table"
    assert waited == [there.ready]
    before = statistic("copied")
    ops.letterbox([there.download()], [box], out, queue)
    assert statistic("copied") - before > 2 * 90 * 64 * 3 // 2, "as an array it goes back and forth"


# --- colours: what the standards say, computed with real numbers

SHARES = {BT601: (0.299, 0.114), BT601_FULL: (0.299, 0.114), BT709: (0.2126, 0.0722), BT709_FULL: (0.2126, 0.0722)}
"""ITU-R BT.601 and BT.709: the shares of red and blue in luma."""


def by_the_standard(nv12: U8, colours: Colours) -> np.ndarray:
    height = nv12.shape[0] * 2 // 3
    full = colours in (BT601_FULL, BT709_FULL)
    y = nv12[:height].astype(float) if full else (nv12[:height].astype(float) - 16) * 255 / 219
    chroma = (nv12[height:].astype(float) - 128).reshape(height // 2, -1, 2) * (1 if full else 255 / 224)
    u, v = (chroma[:, :, one].repeat(2, 0).repeat(2, 1) for one in (0, 1))
    red_share, blue_share = SHARES[colours]
    red, blue = y + 2 * (1 - red_share) * v, y + 2 * (1 - blue_share) * u
    green = (y - red_share * red - blue_share * blue) / (1 - red_share - blue_share)
    return np.clip(np.stack((blue, green, red), axis=-1), 0, 255)


@pytest.mark.parametrize("colours", COLOURS, ids=lambda one: one.name)
def test_each_kind_of_colours_is_what_its_standard_says(colours: Colours) -> None:
    nv12 = noise(7, 96, 64)
    nv12[:64] = np.maximum(nv12[:64], colours.offset)  # below black nothing is defined
    found = nv12_to_bgr(nv12, colours).astype(float)
    # OpenCV's own numbers for BT.601 are its standard's to three digits
    assert np.abs(found - by_the_standard(nv12, colours)).max() <= (1.5 if colours is BT601 else 0.51)


@pytest.mark.parametrize("size", [(64, 32), (90, 46), (2, 2), (88, 94), (180, 150)])
def test_pictures_of_all_colours_share_a_batch_bit_for_bit(device: CudaDevice, size: tuple[int, int]) -> None:
    w, h = size
    images: list[Pixels] = []
    for number, colours in enumerate(COLOURS):
        nv12 = noise(10 + number, h * 3 // 2, w)
        images += [coloured(nv12, colours), surface(device, nv12, colours)]
    expected = np.empty((len(images), 3, 32, 64), np.uint8)
    HostOps().letterbox(images, [Letterbox(w, h, 64, 32)] * len(images), expected, HostStream())
    assert np.array_equal(expected[::2], expected[1::2]), "wherever it lies"
    assert len({one.tobytes() for one in expected[::2]}) == len(COLOURS)
    assert np.array_equal(letterboxed(device, images, [size] * len(images), device.cuda_stream()), expected)


def test_nv12_in_other_colours_is_a_picture_as_any_other() -> None:
    there = coloured(noise(9, 48, 64), BT709)
    assert isinstance(there, Nv12) and size_of(there) == (64, 32)
    assert np.array_equal(as_bgr(there), nv12_to_bgr(there.planes, BT709))
    assert coloured(there.planes, BT601) is there.planes
