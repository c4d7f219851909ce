"""The kernels against the specification: the same .cu source, compiled as host C++ and called through the CUDA device.

Where a GPU is, the same again on it. Tolerance: none. Letterbox and prior agree bit for bit.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge.arrays import F32, I32, U8
from edge.ops.base import MovedHeatmap
from edge.ops.cuda_ops import CudaOps
from edge.ops.framing import Framing
from edge.ops.host import HostOps, own
from edge.ops.letterbox import Letterbox
from edge.ops.resampling import MOST_HALVINGS, halvings
from engines.cuda_device import CudaArray, CudaDevice
from engines.errors import DeviceError
from engines.host import HostStream
from tests.support.host_driver import driver, run_backwards, stand_in_gpu, statistic


class Rig:
    """A device with its ops, and the way there and back."""

    on_gpu = False

    def __init__(self) -> None:
        self.device = CudaDevice() if self.on_gpu else stand_in_gpu()
        self.ops = CudaOps(self.device, None if self.on_gpu else b"\x7fELF this driver has its kernels already")
        self.queue = self.device.cuda_stream()

    def put(self, array: np.ndarray) -> CudaArray:
        there = self.device.empty(array.shape, array.dtype)
        self.device.copy(np.ascontiguousarray(array), there, self.queue)
        return there

    def get(self, there: CudaArray) -> np.ndarray:
        back = self.device.host_empty(there.shape, there.dtype)
        self.device.copy(there, back, self.queue)
        self.queue.synchronize()
        return back


@pytest.fixture(params=["forwards", "backwards", pytest.param("gpu", marks=pytest.mark.gpu)], autouse=True)
def where(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """On the host, threads in both orders: a kernel whose result depends on it is wrong. And on a GPU."""
    if request.param == "gpu":
        try:
            CudaDevice()
        except DeviceError as error:
            pytest.skip(f"no GPU: {error}")
        monkeypatch.setattr(Rig, "on_gpu", True)
        yield
        return
    driver()
    run_backwards(request.param == "backwards")
    yield
    run_backwards(False)


@pytest.fixture
def rig(where: None) -> Rig:
    return Rig()


# --- letterbox


def _assert_letterboxed(rig: Rig, images: Sequence[U8], boxes: Sequence[Letterbox]) -> None:
    shape = (len(images), 3, boxes[0].input_height, boxes[0].input_width)
    out, expected = rig.device.empty(shape, np.uint8), np.empty(shape, np.uint8)
    rig.ops.letterbox(images, boxes, out, rig.queue)
    HostOps().letterbox(images, boxes, expected, HostStream())
    assert np.array_equal(rig.get(out), expected)


def _noise(seed: int, *shape: int) -> U8:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 3), st.integers(1, 2), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
@example(1, 1, 3, 2, 0)
@example(64, 32, 2, 1, 0)  # of the input's size
@example(1, 90, 1, 1, 0)
@example(89, 2, 1, 1, 0)
def test_a_picture_of_any_size_is_the_specifications_bit_for_bit(w: int, h: int, nw: int, nh: int, seed: int) -> None:
    _assert_letterboxed(Rig(), [_noise(seed, h, w, 3)], [Letterbox(w, h, 32 * nw, 32 * nh)])


@pytest.mark.parametrize(
    ("source", "halved"),
    [((127, 95), 0), ((130, 98), 1), ((131, 99), 1), ((271, 203), 2), ((525, 400), 3), ((1030, 777), 4)],
)
def test_pictures_are_halved_as_often_as_the_specification_halves_them(
    rig: Rig, source: tuple[int, int], halved: int
) -> None:
    w, h = source
    box = Letterbox(w, h, 64, 64)
    assert halvings((w, h), (box.width, box.height)) == halved
    _assert_letterboxed(rig, [_noise(3, h, w, 3)], [box])
    _assert_letterboxed(rig, [np.full((h, w, 3), 255, np.uint8)], [box])


def test_a_picture_far_too_large_is_refused() -> None:
    assert halvings((64 << MOST_HALVINGS, 64 << MOST_HALVINGS), (64, 64)) == MOST_HALVINGS
    with pytest.raises(ValueError, match="too large for a network that wants"):
        halvings((128 << MOST_HALVINGS, 128 << MOST_HALVINGS), (64, 64))


def test_cameras_of_different_sizes_and_layouts_share_a_batch(rig: Rig) -> None:
    wide = _noise(1, 60, 200, 6)
    images = [wide[:, ::2, :3], wide[::-1, :, 3:], _noise(2, 96, 64), np.asfortranarray(_noise(4, 33, 35, 3))]
    sizes = [(100, 60), (200, 60), (64, 64), (35, 33)]
    _assert_letterboxed(rig, images, [Letterbox(*size, 96, 64) for size in sizes])


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_nv12_becomes_the_specifications_colours_bit_for_bit(half_w: int, half_h: int, seed: int) -> None:
    w, h = 2 * half_w, 2 * half_h
    _assert_letterboxed(Rig(), [_noise(seed, 3 * half_h, w)], [Letterbox(w, h, 64, 32)])


@pytest.mark.parametrize("luma", [0, 15, 16, 235, 255])
def test_every_chroma_at_the_ends_of_luma_is_the_specifications(rig: Rig, luma: int) -> None:
    image = np.full((768, 512), luma, np.uint8)
    image[512:, 0::2] = np.arange(256)[:, None]
    image[512:, 1::2] = np.arange(256)
    _assert_letterboxed(rig, [image], [Letterbox(512, 512, 512, 512)])


def test_after_the_first_tick_nothing_is_allocated(rig: Rig) -> None:
    images, boxes = [_noise(0, 50, 70, 3), _noise(1, 80, 60, 3)], [Letterbox(70, 50, 64, 32), Letterbox(60, 80, 64, 32)]
    out = rig.device.empty((2, 3, 32, 64), np.uint8)
    moved = MovedHeatmap(rig.put(np.zeros((8, 16), np.float32)), rig.put(np.zeros((8, 16), np.int32)), _whole([(1, 1)]))
    prior = rig.device.empty((1, 1, 8, 16), np.float32)
    for turn in range(6):
        rig.ops.letterbox(images, boxes, out, rig.queue)
        rig.ops.extrapolate([moved], prior, rig.queue)
        rig.ops.own(_whole([(1, 1)]), np.array([1], np.int32), moved.owners, rig.queue)
        if turn == 0:
            allocated = statistic("allocations")
    assert statistic("allocations") == allocated


# --- owners and priors


def _whole(pairs: Sequence[tuple[int, int]]) -> I32:
    return np.array(pairs, np.int32).reshape(-1, 2)


def _owners(rig: Rig, centres: I32, radii: I32, cells: tuple[int, int]) -> tuple[I32, I32]:
    """(of the kernel, of the specification)"""
    out, expected = rig.device.empty(cells, np.int32), np.empty(cells, np.int32)
    rig.ops.own(centres, radii, out, rig.queue)
    own(centres, radii, expected)
    return rig.get(out), expected


def _assert_moved(rig: Rig, lanes: Sequence[tuple[F32, I32, I32]]) -> F32:
    """Every lane: heatmap (h, w), owners (h, w), shifts (M, 2). Returns the priors."""
    shape = (len(lanes), 1, *lanes[0][0].shape)
    out, expected = rig.device.empty(shape, np.float32), np.empty(shape, np.float32)
    rig.ops.extrapolate([MovedHeatmap(rig.put(h), rig.put(o), s) for h, o, s in lanes], out, rig.queue)
    HostOps().extrapolate([MovedHeatmap(*lane) for lane in lanes], expected, HostStream())
    assert rig.get(out).tobytes() == expected.tobytes()
    return expected


@st.composite
def crowds(draw: st.DrawFn) -> tuple[F32, I32, I32, I32]:
    """Heatmap, centres, radii, shifts: objects on the map, off it, on top of each other, fast, at rest."""
    h, w, count = draw(st.integers(1, 20)), draw(st.integers(1, 24)), draw(st.integers(0, 8))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    heatmap = rng.random((h, w), np.float32) ** 4
    heatmap[rng.random((h, w)) < 0.2] = draw(st.sampled_from([0.0, 1.0, 1e-40, 0.5]))
    corner = (-4, -4), (w + 4, h + 4)
    centres = rng.integers(*corner, (count, 2)).astype(np.int32)
    if count and draw(st.booleans()):
        centres[:] = centres[0]
    shifts = rng.integers(-w - h, w + h + 1, (count, 2)).astype(np.int32)
    shifts[rng.random(count) < 0.3] = 0
    return heatmap, centres, rng.integers(1, 6, count).astype(np.int32), shifts


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_owners_and_prior_of_any_crowd_are_the_specifications_bit_for_bit(data: st.DataObject) -> None:
    rig, (heatmap, centres, radii, shifts) = Rig(), data.draw(crowds())
    owners, expected = _owners(rig, centres, radii, heatmap.shape)
    assert np.array_equal(owners, expected)
    _assert_moved(rig, [(heatmap, owners, shifts)])


def test_without_people_the_prior_is_the_heatmap(rig: Rig) -> None:
    heatmap = np.random.default_rng(0).random((7, 9), np.float32)
    owners, expected = _owners(rig, _whole([]), np.zeros(0, np.int32), (7, 9))
    assert np.array_equal(owners, expected)
    assert (owners == -1).all()
    assert _assert_moved(rig, [(heatmap, owners, _whole([]))]).tobytes() == heatmap.tobytes()


def test_five_hundred_people_are_no_problem(rig: Rig) -> None:
    rng = np.random.default_rng(5)
    centres = np.stack((rng.integers(0, 272, 500), rng.integers(0, 152, 500)), 1).astype(np.int32)
    radii = rng.integers(1, 12, 500).astype(np.int32)
    owners, expected = _owners(rig, centres, radii, (152, 272))
    assert np.array_equal(owners, expected)
    shifts = rng.integers(-9, 10, (500, 2)).astype(np.int32)
    _assert_moved(rig, [(rng.random((152, 272), np.float32), owners, shifts)])


def test_nobody_moves_and_not_a_bit_changes(rig: Rig) -> None:
    heatmap = np.random.default_rng(1).random((12, 16), np.float32)
    heatmap[3] = np.frombuffer(b"\x01\x00\x00\x00", np.float32)  # the smallest number that there is
    owners, _ = _owners(rig, _whole([(4, 4), (10, 8)]), np.array([3, 2], np.int32), (12, 16))
    assert _assert_moved(rig, [(heatmap, owners, _whole([(0, 0), (0, 0)]))]).tobytes() == heatmap.tobytes()


@given(crowds(), st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300)), min_size=1, max_size=3), st.data())
@settings(max_examples=40, deadline=None)
def test_priors_of_another_size_than_the_heatmap_are_the_specifications_bit_for_bit(
    crowd: tuple[F32, I32, I32, I32], sources: list[tuple[int, int]], data: st.DataObject
) -> None:
    rig, (_, centres, radii, shifts) = Rig(), crowd
    teacher, student = ((32 * data.draw(st.integers(1, 4)), 32 * data.draw(st.integers(1, 3))) for _ in range(2))
    heatmap = np.random.default_rng(len(shifts)).random((teacher[1] // 4, teacher[0] // 4), np.float32) ** 4
    owners, _ = _owners(rig, centres, radii, heatmap.shape)
    shape = (len(sources), 1, student[1] // 4, student[0] // 4)
    out, expected = rig.device.empty(shape, np.float32), np.empty(shape, np.float32)
    framings = [Framing(Letterbox(*source, *teacher), Letterbox(*source, *student)) for source in sources]
    there = [MovedHeatmap(rig.put(heatmap), rig.put(owners), shifts, framing) for framing in framings]
    rig.ops.extrapolate(there, out, rig.queue)
    here = [MovedHeatmap(heatmap, owners, shifts, framing) for framing in framings]
    HostOps().extrapolate(here, expected, HostStream())
    assert rig.get(out).tobytes() == expected.tobytes()


def test_who_leaves_takes_the_blob_along_and_of_two_that_meet_the_larger_stays(rig: Rig) -> None:
    heatmap = np.zeros((5, 20), np.float32)
    heatmap[2, 2], heatmap[2, 10], heatmap[2, 18] = 0.4, 0.9, 0.7
    owners, _ = _owners(rig, _whole([(2, 2), (10, 2), (18, 2)]), np.array([1, 1, 1], np.int32), (5, 20))
    prior = _assert_moved(rig, [(heatmap, owners, _whole([(4, 0), (-4, 0), (2, 0)]))])[0, 0]
    assert prior[2, 6] == np.float32(0.9)
    assert np.count_nonzero(prior) == 1


def test_lanes_of_a_batch_do_not_touch_each_other(rig: Rig) -> None:
    rng = np.random.default_rng(2)
    lanes = []
    for count in (3, 0, 7):
        centres = rng.integers(0, 16, (count, 2)).astype(np.int32)
        radii, shifts = rng.integers(1, 4, count).astype(np.int32), rng.integers(-5, 6, (count, 2)).astype(np.int32)
        owners, _ = _owners(rig, centres, radii, (12, 16))
        lanes.append((rng.random((12, 16), np.float32), owners, shifts))
    _assert_moved(rig, lanes)
