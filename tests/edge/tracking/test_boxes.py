"""Boxes: every conversion is undone by its inverse; overlap is checked against drawn pixels and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge.arrays import F64
from edge.tracking.boxes import iou_matrix, suppress, xyah_to_xyxy, xywh_to_xyxy, xyxy_to_xyah, xyxy_to_xywh

corners = arrays(np.float64, st.tuples(st.integers(0, 12), st.just(2)), elements=st.floats(-5000, 5000))


@st.composite
def boxes(draw: st.DrawFn) -> F64:
    """(N, 4) xyxy with sides of 1 to 2000."""
    start = draw(corners)
    sides = draw(arrays(np.float64, start.shape, elements=st.floats(1, 2000)))
    return np.concatenate((start, start + sides), axis=1)


@pytest.mark.parametrize("convert", [xyxy_to_xywh, xywh_to_xyxy, xyxy_to_xyah, xyah_to_xyxy])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_boxes_convert_to_no_boxes_of_the_same_dtype(convert, dtype) -> None:  # type: ignore[no-untyped-def]
    result = convert(np.zeros((0, 4), dtype))
    assert result.shape == (0, 4)
    assert result.dtype == dtype


def test_one_box_in_every_format() -> None:
    xyxy = np.array([[10.0, 20.0, 40.0, 80.0]])
    np.testing.assert_array_equal(xyxy_to_xywh(xyxy), [[10, 20, 30, 60]])
    np.testing.assert_array_equal(xyxy_to_xyah(xyxy), [[25, 50, 0.5, 60]])
    assert xyxy.tolist() == [[10, 20, 40, 80]], "the argument must stay as it was"


@settings(deadline=None)
@given(boxes())
def test_conversions_are_undone_by_their_inverse(xyxy: F64) -> None:
    np.testing.assert_allclose(xywh_to_xyxy(xyxy_to_xywh(xyxy)), xyxy, atol=1e-9)
    np.testing.assert_allclose(xyah_to_xyxy(xyxy_to_xyah(xyxy)), xyxy, atol=1e-9)


@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 3), (3, 0)])
def test_overlap_of_no_boxes_is_an_empty_matrix(n: int, m: int) -> None:
    assert iou_matrix(np.zeros((n, 4)), np.zeros((m, 4))).shape == (n, m)


@pytest.mark.parametrize(
    ("other", "real", "with_pixel"),
    [
        ((0, 0, 10, 10), 1.0, 1.0),  # the same box
        ((20, 0, 30, 10), 0.0, 0.0),  # apart
        ((10, 0, 20, 10), 0.0, 11 / (2 * 121 - 11)),  # touching: one column of pixels in common
        ((5, 0, 15, 10), 50 / 150, 66 / (242 - 66)),  # half of it
        ((2, 2, 4, 4), 4 / 100, 9 / 121),  # inside
    ],
)
def test_overlap_by_hand(other: tuple[float, ...], real: float, with_pixel: float) -> None:
    box, second = np.array([[0.0, 0, 10, 10]]), np.array([other], np.float64)
    assert iou_matrix(box, second)[0, 0] == pytest.approx(real)
    assert iou_matrix(box, second, pixel=1)[0, 0] == pytest.approx(with_pixel)


def test_overlap_with_pixel_counts_drawn_pixels() -> None:
    rng = np.random.default_rng(3)
    start = rng.integers(0, 20, (12, 2))
    xyxy = np.concatenate((start, start + rng.integers(0, 12, (12, 2))), axis=1)
    canvas = np.zeros((12, 40, 40), np.bool_)
    for drawn, (left, top, right, bottom) in zip(canvas, xyxy, strict=True):
        drawn[top : bottom + 1, left : right + 1] = True
    expected = [[(a & b).sum() / (a | b).sum() for b in canvas] for a in canvas]
    np.testing.assert_allclose(iou_matrix(xyxy.astype(float), xyxy.astype(float), pixel=1), expected)


def test_two_boxes_without_area_do_not_overlap() -> None:
    empty = np.zeros((1, 4), np.float32)
    assert iou_matrix(empty, empty)[0, 0] == 0


@settings(deadline=None)
@given(boxes(), boxes())
def test_overlap_is_symmetric_and_between_zero_and_one(a: F64, b: F64) -> None:
    overlap = iou_matrix(a, b)
    assert ((overlap >= 0) & (overlap <= 1)).all()
    np.testing.assert_array_equal(overlap, iou_matrix(b, a).T)
    assert iou_matrix(a.astype(np.float32), b.astype(np.float32)).dtype == np.float32


def test_nobody_is_suppressed_where_there_is_nobody() -> None:
    assert suppress(np.zeros((0, 4), np.float32), 0.7).shape == (0,)


@settings(deadline=None)
@given(boxes(), st.floats(0, 1))
def test_the_best_of_overlapping_boxes_remains(xyxy: F64, limit: float) -> None:
    kept: list[int] = []
    for row in range(len(xyxy)):
        if all(iou_matrix(xyxy[row : row + 1], xyxy[other : other + 1])[0, 0] <= limit for other in kept):
            kept.append(row)
    assert suppress(xyxy, limit).nonzero()[0].tolist() == kept


@settings(deadline=None)
@given(boxes(), st.floats(0, 1), st.integers(1, 4))
def test_boxes_of_different_lanes_do_not_suppress_each_other(xyxy: F64, limit: float, count: int) -> None:
    lanes = np.sort(np.arange(len(xyxy)) % count)
    expected = [suppress(xyxy[lanes == lane], limit) for lane in range(count)]
    assert suppress(xyxy, limit, lanes).tolist() == np.concatenate(expected).tolist()


def test_a_limit_of_one_suppresses_not_even_equal_boxes() -> None:
    assert suppress(np.tile(np.array([0.0, 0, 9, 9]), (3, 1)), 1.0).all()
