"""Priors of training are the service's, plus the disturbances that the recipe asks for."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.arrays import F32, F64
from edge.ops.host import extrapolate, own
from edge.ops.objects import window_radii
from edge.tracking.boxes import iou_matrix
from edge.tracking.detections import SCORE_THRESHOLD
from training.models.decode import Decoded
from training.priors import Draws, make_priors
from training.recipe import Recipe
from training.targets import draw_gaussian

CALM = Recipe("p", "n", 1, drop=0, jitter=0, still=0, spurious=0, fade=0, blank=0)
WILD = replace(CALM, drop=0.3, jitter=0.1, still=0.3, spurious=0.4, fade=0.6, blank=0.2)
BOXES = np.array([[20, 20, 44, 60]], np.float32)  # input pixels; centre (8, 10) in cells


def teacher_sees(score: float = 0.9) -> Decoded:
    heatmap = np.full((1, 1, 24, 40), 0.01, np.float32)
    draw_gaussian(heatmap[0, 0], 8, 10, 2)
    return Decoded(
        torch.from_numpy(heatmap),
        torch.tensor([[[8.3, 10.2], [0.0, 0.0]]]),
        torch.from_numpy(np.stack((BOXES[0], np.zeros(4, np.float32)))[None]),
        torch.tensor([[score, 0.01]]),
        torch.zeros(1, 2, 4),
    )


def prior(
    recipe: Recipe,
    velocity: tuple[float, float] = (0, 0),
    gap: int = 1,
    sample: int = 0,
    score: float = 0.9,
    arrived: bool = False,
) -> F32:
    draws = Draws.of(0, [sample], 2, torch.device("cpu"))
    truth = torch.from_numpy(BOXES[None]), torch.tensor([[velocity]], dtype=torch.float32), torch.tensor([1])
    return make_priors(
        teacher_sees(score), *truth, torch.tensor([gap]), recipe, draws, torch.tensor([arrived])
    ).numpy()[0, 0]


def samples_where(recipe: Recipe, velocity: tuple[float, float], gap: int, cell: tuple[int, int]) -> float:
    """Share of samples whose prior peaks in a cell (x, y)."""
    hits = 0
    for sample in range(60):
        values = prior(recipe, velocity, gap, sample)
        y, x = np.unravel_index(values.argmax(), values.shape)
        hits += (x, y) == cell
    return hits / 60


def test_without_persons_the_prior_is_the_heatmap() -> None:
    np.testing.assert_array_equal(prior(CALM, (3, 0), score=0.1), teacher_sees().heatmap.numpy()[0, 0])


def test_a_blob_moves_by_gap_times_velocity_unless_its_velocity_counts_as_unknown() -> None:
    assert samples_where(CALM, (1.5, -0.5), 4, (14, 8)) == 1  # floor(8.3 + 6), floor(10.2 - 2)
    assert 0.2 < samples_where(replace(CALM, still=0.5), (1.5, -0.5), 4, (14, 8)) < 0.8
    assert samples_where(replace(CALM, still=1), (1.5, -0.5), 4, (8, 10)) == 1


def test_where_the_map_shows_the_target_itself_only_blobs_of_unknown_velocity_lie_behind() -> None:
    at_rest = prior(CALM, (1.5, -0.5), 4, arrived=True)
    np.testing.assert_array_equal(at_rest, teacher_sees().heatmap.numpy()[0, 0])
    behind = prior(replace(CALM, still=1), (1.5, -0.5), 4, arrived=True)
    assert np.unravel_index(behind.argmax(), behind.shape) == (12, 2)  # floor(10.2 + 2), floor(8.3 - 6)


def test_noise_grows_with_the_gap() -> None:
    near, far = (samples_where(replace(CALM, jitter=0.1), (0, 0), gap, (8, 10)) for gap in (1, 11))
    assert far < near < 1


def test_drops_and_blanks_and_false_blobs_come_as_often_as_asked() -> None:
    assert prior(replace(CALM, drop=1)).max() == pytest.approx(0.01)
    assert prior(replace(CALM, blank=1)).max() == 0
    extra = [np.count_nonzero(prior(replace(CALM, spurious=1), sample=sample) == 1) for sample in range(20)]
    assert max(extra) == 2
    blank = [prior(replace(CALM, blank=0.2), sample=sample).max() == 0 for sample in range(200)]
    assert 0.05 < np.mean(blank) < 0.35


def test_blobs_fade_by_no_more_than_asked_and_the_rest_of_the_map_stays() -> None:
    priors = [prior(replace(CALM, fade=0.5), sample=sample) for sample in range(40)]
    peaks = [values.max() for values in priors]
    assert 0.5 <= min(peaks) < 0.65 < 0.85 < max(peaks) <= 1
    assert all(values[0, 0] == np.float32(0.01) for values in priors)


def test_draws_belong_to_the_sample_whatever_batch_it_is_in() -> None:
    together, alone = Draws.of(7, [4, 5, 6], 3, torch.device("cpu")), Draws.of(7, [5], 3, torch.device("cpu"))
    for one, other in ((together.uniform, alone.uniform), (together.normal, alone.normal)):
        torch.testing.assert_close(one[1], other[0], rtol=0, atol=0)
        assert not torch.equal(one[0], one[1])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([CALM, WILD]))
def test_a_batch_is_what_the_specification_of_the_service_makes_of_each_sample(seed: int, recipe: Recipe) -> None:
    rng = np.random.default_rng(seed)
    batch, peaks, shape = 3, 12, (20, 33)
    seen = int(rng.integers(0, peaks + 1))
    points = rng.uniform(-2, 36, (batch, peaks, 2)).astype(np.float32)
    half = rng.uniform(-1, 30, (batch, peaks, 2)).astype(np.float32)
    boxes = np.concatenate((points * 4 - half, points * 4 + half), 2)
    scores = np.where(np.arange(peaks) < seen, 0.9, 0.1)[None].repeat(batch, 0)
    heatmap = rng.random((batch, 1, *shape), np.float32)
    count = rng.integers(0, 6, batch)
    truth = boxes[:, :5] + rng.normal(0, 2, (batch, 5, 4)).astype(np.float32)
    velocity = rng.normal(0, 1, (batch, 5, 2)).astype(np.float32)
    gap = rng.integers(1, 12, batch)
    decoded = Decoded(*(torch.from_numpy(a) for a in (heatmap, points, boxes, scores)), torch.zeros(batch, peaks, 2))
    draws = Draws.of(seed, range(batch), peaks, torch.device("cpu"))
    motion = (torch.from_numpy(a) for a in (truth, velocity, count, gap))
    found = make_priors(decoded, *motion, recipe, draws).numpy()
    for row in range(batch):
        one = scores[row] > SCORE_THRESHOLD
        expected = specified(
            heatmap[row, 0],
            points[row][one].astype(np.float64),
            boxes[row][one],
            velocities(boxes[row][one], truth[row, : count[row]], velocity[row, : count[row]]),
            int(gap[row]),
            recipe,
            (float(draws.blank[row]), draws.uniform[row].numpy()[one], draws.normal[row].numpy()[one]),
        )
        np.testing.assert_allclose(found[row, 0], expected, atol=1e-6)


def specified(
    heatmap: F32, points: F64, boxes: F32, velocity: F64, gap: int, recipe: Recipe, draws: tuple[float, F64, F64]
) -> F32:
    """One sample's prior by the service's own functions and loops."""
    blank, uniform, normal = draws
    height, width = heatmap.shape
    out = np.zeros_like(heatmap)
    if blank < recipe.blank:
        return out
    sides = ((boxes[:, 2:] - boxes[:, :2]) / 4).astype(np.float64)
    velocity[uniform[:, 0] < recipe.still] = 0
    moved = points + gap * velocity + recipe.jitter * np.sqrt(gap) * normal[:, :2] * sides
    shifts = (np.floor(moved) - np.floor(points)).astype(np.int32)
    shifts[uniform[:, 1] < recipe.drop] = 1 << 20
    radii = window_radii(sides.astype(np.float32))
    owners = np.empty((height, width), np.int32)
    own(np.floor(points).astype(np.int32), radii, owners)
    strength = np.append(1 - recipe.fade * uniform[:, 2], 1).astype(np.float32)  # last: owner is -1
    extrapolate(heatmap * strength[owners], owners, shifts, out)
    for blob in np.flatnonzero(uniform[:, 3] < recipe.spurious):
        x, y = np.floor(points[blob] + normal[blob, 2:] * sides[blob]).astype(int)
        if 0 <= x < width and 0 <= y < height:
            draw_gaussian(out, x, y, int(radii[blob]), 1 - recipe.fade * uniform[blob, 4])
    return out


def velocities(boxes: F32, true_boxes: F32, true_velocity: F32) -> F64:
    """(N, 2) velocity of the true box that each detection overlaps most, 0 where none reaches IoU 0.5."""
    velocity = np.zeros((len(boxes), 2))
    if len(boxes) and len(true_boxes):
        overlap = iou_matrix(boxes, true_boxes)
        best = overlap.argmax(1)
        hit = overlap[np.arange(len(boxes)), best] >= 0.5
        velocity[hit] = true_velocity[best[hit]]
    return velocity
