"""Targets against values worked out by hand from FairMOT's formulas."""

import numpy as np
import pytest

from training.targets import MAX_OBJECTS, UNKNOWN, gaussian, gaussian_radius, make_targets

NOTHING = np.zeros((0, 4), np.float32)


def test_an_image_without_persons_has_empty_targets() -> None:
    targets = make_targets(NOTHING, np.zeros(0, np.int64), NOTHING, (20, 30))
    assert targets.heatmap.shape == (1, 20, 30)
    assert targets.heatmap.max() == 0
    assert targets.mask.sum() == 0
    assert (targets.ids == UNKNOWN).all()


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [(5, 3, 1.030234), (10, 5, 1.838963), (20, 8, 3.171913), (40, 16, 6.343825), (100, 40, 15.859563)],
)
def test_radius_is_fairmots(height: float, width: float, expected: float) -> None:
    assert gaussian_radius(height, width) == pytest.approx(expected, abs=1e-6)


def test_gaussian_of_radius_two_has_the_known_values() -> None:
    kernel = gaussian(2)
    assert kernel[2] == pytest.approx([0.056135, 0.486752, 1, 0.486752, 0.056135], abs=1e-6)
    assert kernel[0, 0] == pytest.approx(0.003151, abs=1e-6)


def test_a_person_is_described_from_the_truncated_centre() -> None:
    box = np.array([[4.5, 2.0, 10.0, 16.0]], np.float32)
    targets = make_targets(box, np.array([7]), NOTHING, (20, 30))
    assert targets.cells[0] == 9 * 30 + 7
    assert targets.heatmap[0, 9, 7] == 1
    assert targets.offsets[0] == pytest.approx([0.25, 0.0])
    assert targets.sides[0] == pytest.approx([2.75, 7, 2.75, 7])
    assert targets.ids[0] == 7


def test_a_centre_outside_is_clipped_while_its_box_stays_whole() -> None:
    box = np.array([[-8.0, 2.0, 4.0, 12.0]], np.float32)
    targets = make_targets(box, np.array([1]), NOTHING, (20, 30))
    assert targets.cells[0] == 7 * 30
    assert targets.sides[0] == pytest.approx([8, 5, 4, 5])


def test_overlapping_persons_keep_the_larger_value() -> None:
    boxes = np.array([[2, 2, 12, 18], [5, 2, 15, 18]], np.float32)
    both = make_targets(boxes, np.array([1, 2]), NOTHING, (20, 30)).heatmap
    alone = [make_targets(box[None], np.array([1]), NOTHING, (20, 30)).heatmap for box in boxes]
    np.testing.assert_array_equal(both, np.maximum(*alone))


def test_ignored_regions_do_not_hide_a_labelled_centre() -> None:
    box = np.array([[4, 4, 8, 12]], np.float32)
    targets = make_targets(box, np.array([1]), np.array([[0, 0, 10, 10]], np.float32), (20, 30))
    assert targets.ignore[0, :10, :10].sum() == 99
    assert targets.ignore[0, 8, 6] == 0


def test_boxes_without_area_and_beyond_the_limit_are_left_out() -> None:
    flat = np.array([[4, 4, 4, 12]], np.float32)
    assert make_targets(flat, np.array([1]), NOTHING, (20, 30)).mask.sum() == 0
    many = np.tile(np.array([[4, 4, 8, 12]], np.float32), (MAX_OBJECTS + 3, 1))
    assert make_targets(many, np.zeros(len(many), np.int64), NOTHING, (20, 30)).mask.sum() == MAX_OBJECTS


def test_a_peak_is_as_high_as_its_person_is_sure() -> None:
    box = np.array([[4.5, 2.0, 10.0, 16.0]], np.float32)
    targets = make_targets(box, np.array([7]), NOTHING, (20, 30), np.array([0.6], np.float32))
    assert targets.heatmap.max() == targets.heatmap[0, 9, 7] == np.float32(0.6)


def test_cells_belong_to_the_smaller_of_two_boxes_and_every_centre_to_its_own() -> None:
    boxes = np.array([[0, 0, 20, 20], [8, 8, 14, 14]], np.float32)
    targets = make_targets(boxes, np.array([1, 2]), NOTHING, (24, 24))
    assert targets.owners[0, 7, 7] == 0
    assert targets.owners[0, 12, 12] == 1
    assert targets.owners[0].flat[targets.cells[0]] == 0
    assert targets.owners[0, 0, 0] == -1
