"""The specification's pixel work against references in float64 and plain loops, written here from its description."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from edge.arrays import F32, F64, I32, U8
from edge.ops.base import MovedHeatmap
from edge.ops.host import HostOps, extrapolate, own
from edge.ops.letterbox import GREY, Letterbox
from engines.host import HostDevice
from tests.support.reference_prior import reference_prior

STREAM = HostDevice().cuda_stream()


def area_resize(image: U8, width: int, height: int) -> F64:
    """Mean colour over the source area of every target pixel, in float64: FairMOT's area interpolation."""

    def weights(source: int, target: int) -> F64:
        edges = np.linspace(0, source, target + 1)
        start, end = np.arange(source), np.arange(1, source + 1)
        overlap = np.minimum(edges[1:, None], end) - np.maximum(edges[:-1, None], start)
        overlap = np.maximum(overlap, 0)
        return np.asarray(overlap / overlap.sum(1, keepdims=True))

    rows, columns = weights(image.shape[0], height), weights(image.shape[1], width)
    return np.stack([rows @ plane @ columns.T for plane in image.astype(np.float64).transpose(2, 0, 1)], axis=2)


def _prior(heatmap: F32, centres: F64, radii: I32, shifts: I32) -> F32:
    owners, out = np.empty(heatmap.shape, np.int32), np.full(heatmap.shape, np.nan, np.float32)
    own(np.floor(centres).astype(np.int32).reshape(-1, 2), radii, owners)
    extrapolate(heatmap, owners, shifts, out)
    return out


def test_a_heatmap_without_objects_stays_as_it_is() -> None:
    heatmap = np.random.default_rng(0).random((5, 7), np.float32)
    out = _prior(heatmap, np.zeros((0, 2)), np.zeros(0, np.int32), np.zeros((0, 2), np.int32))
    assert out.tobytes() == heatmap.tobytes()


@st.composite
def scenes(draw: st.DrawFn) -> tuple[F32, F64, I32, F64, float]:
    h, w = draw(st.integers(1, 12)), draw(st.integers(1, 14))
    heatmap = draw(npst.arrays(np.float32, (h, w), elements=st.floats(0, 1, width=32)))
    count = draw(st.integers(0, 5))
    coordinate = st.floats(-2, 15, width=32)
    centres = np.array(draw(st.lists(st.tuples(coordinate, coordinate), min_size=count, max_size=count)))
    radii = np.array(draw(st.lists(st.integers(1, 4), min_size=count, max_size=count)), np.int32)
    speed = st.floats(-60, 60, width=32) | st.just(0.0)
    velocities = np.array(draw(st.lists(st.tuples(speed, speed), min_size=count, max_size=count)))
    elapsed_s = draw(st.floats(0, 0.5))
    return heatmap, centres.reshape(-1, 2), radii, velocities.reshape(-1, 2), elapsed_s


def _shifts(centres: F64, velocities: F64, elapsed_s: float) -> I32:
    return (np.floor(centres + elapsed_s * velocities) - np.floor(centres)).astype(np.int32)


@given(scenes())
@settings(max_examples=120, deadline=None)
def test_the_prior_is_the_specifications_scatter_cell_by_cell(scene: tuple[F32, F64, I32, F64, float]) -> None:
    heatmap, centres, radii, velocities, elapsed_s = scene
    out = _prior(heatmap, centres, radii, _shifts(centres, velocities, elapsed_s))
    assert np.array_equal(out.astype(np.float64), reference_prior(heatmap, centres, radii, velocities, elapsed_s))


@given(scenes())
@settings(max_examples=50, deadline=None)
def test_nothing_changes_without_time_or_without_velocity(scene: tuple[F32, F64, I32, F64, float]) -> None:
    heatmap, centres, radii, velocities, elapsed_s = scene
    for moved in (_shifts(centres, velocities, 0.0), _shifts(centres, 0 * velocities, elapsed_s)):
        assert _prior(heatmap, centres, radii, moved).tobytes() == heatmap.tobytes()


def test_an_object_that_leaves_the_map_leaves_nothing_behind() -> None:
    heatmap = np.zeros((6, 9), np.float32)
    heatmap[2:5, 6:9] = 0.5
    out = _prior(heatmap, np.array([[7.5, 3.5]]), np.array([1], np.int32), np.array([[5, 0]], np.int32))
    assert not out.any()


def test_where_two_objects_meet_the_larger_value_stays() -> None:
    heatmap = np.zeros((3, 9), np.float32)
    heatmap[1, 1], heatmap[1, 7] = 0.4, 0.9
    centres, radii = np.array([[1.0, 1.0], [7.0, 1.0]]), np.array([1, 1], np.int32)
    for order in ([0, 1], [1, 0]):
        shifts = np.array([[3, 0], [-3, 0]], np.int32)[order]
        out = _prior(heatmap, centres[order], radii, shifts)
        assert out[1, 4] == np.float32(0.9)
        assert np.count_nonzero(out) == 1


def test_a_cell_between_two_equal_objects_belongs_to_the_better_one() -> None:
    owners = np.empty((1, 5), np.int32)
    own(np.array([[1, 0], [3, 0]], np.int32), np.array([1, 1], np.int32), owners)
    assert owners.tolist() == [[0, 0, 0, 1, 1]]


def test_priors_of_a_batch_are_written_row_by_row() -> None:
    ops = HostOps()
    heatmaps = np.random.default_rng(0).random((3, 6, 8), np.float32)
    owners = np.full((6, 8), -1, np.int32)
    nobody = np.zeros((0, 2), np.int32)
    out = np.full((3, 1, 6, 8), np.nan, np.float32)
    ops.extrapolate([MovedHeatmap(heatmap, owners, nobody) for heatmap in heatmaps], out, STREAM)
    assert np.array_equal(out[:, 0], heatmaps)


@pytest.mark.parametrize("source", [(64, 48), (200, 90), (90, 200), (128, 96), (300, 290), (17, 5), (401, 307)])
def test_a_letterboxed_picture_is_the_scaled_one_on_grey(source: tuple[int, int]) -> None:
    width, height = source
    ramp_x, ramp_y = np.linspace(0, 255, width), np.linspace(0, 255, height)[:, None]
    planes = np.broadcast_arrays(ramp_x, ramp_y, (ramp_x + ramp_y) / 2)
    image = np.stack(planes, axis=2).round().astype(np.uint8)
    box = Letterbox(width, height, 128, 96)
    out = np.full((1, 3, 96, 128), 77, np.uint8)
    HostOps().letterbox([image], [box], out, STREAM)
    picture = out[0, :, box.top : box.top + box.height, box.left : box.left + box.width]
    rgb = area_resize(image, box.width, box.height)[..., ::-1].transpose(2, 0, 1)
    if box.ratio <= 1:  # smooth pictures: the halves-then-bilinear route may differ from the area mean by a few levels
        assert np.abs(picture - rgb).max() <= 4
    assert np.abs(picture.mean((1, 2)) - rgb.mean((1, 2))).max() < 1.5
    outside = np.ones((96, 128), bool)
    outside[box.top : box.top + box.height, box.left : box.left + box.width] = False
    assert (out[0][:, outside] == GREY).all()


def test_lanes_of_different_sizes_share_one_buffer_without_traces_of_each_other() -> None:
    rng = np.random.default_rng(2)
    images = [rng.integers(0, 256, (h, w, 3)).astype(np.uint8) for h, w in ((60, 90), (90, 60), (96, 128))]
    boxes = [Letterbox(image.shape[1], image.shape[0], 128, 96) for image in images]
    ops, out, alone = HostOps(), np.empty((3, 3, 96, 128), np.uint8), np.empty((1, 3, 96, 128), np.uint8)
    for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0)):
        ops.letterbox([images[i] for i in order], [boxes[i] for i in order], out, STREAM)
        for row, i in enumerate(order):
            HostOps().letterbox([images[i]], [boxes[i]], alone, STREAM)
            assert np.array_equal(out[row], alone[0])


def test_a_picture_of_the_inputs_size_is_only_reordered() -> None:
    image = np.random.default_rng(3).integers(0, 256, (96, 128, 3)).astype(np.uint8)
    out = np.empty((1, 3, 96, 128), np.uint8)
    HostOps().letterbox([image], [Letterbox(128, 96, 128, 96)], out, STREAM)
    assert np.array_equal(out[0], image[..., ::-1].transpose(2, 0, 1))
