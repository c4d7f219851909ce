"""Priors of training are the service's, plus the disturbances that the recipe asks for."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from edge.arrays import F32
from training.models.decode import Decoded
from training.priors import make_priors, match_velocities
from training.recipe import Recipe
from training.targets import draw_gaussian

CALM = Recipe("p", "n", 1, drop=0, jitter=0, still=0, spurious=0, fade=0, blank=0)
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
    recipe: Recipe, velocity: tuple[float, float] = (0, 0), gap: int = 1, seed: int = 0, score: float = 0.9
) -> F32:
    rng = np.random.default_rng(seed)
    moves = np.array([[velocity]], np.float32)
    return make_priors(teacher_sees(score), BOXES[None], moves, [1], [gap], recipe, rng)[0, 0]


def seeds_where(recipe: Recipe, velocity: tuple[float, float], gap: int, cell: tuple[int, int]) -> float:
    """Share of seeds whose prior peaks in a cell (x, y)."""
    hits = 0
    for seed in range(60):
        values = prior(recipe, velocity, gap, seed)
        y, x = np.unravel_index(values.argmax(), values.shape)
        hits += (x, y) == cell
    return hits / 60


def test_without_persons_the_prior_is_the_heatmap() -> None:
    np.testing.assert_array_equal(prior(CALM, (3, 0), score=0.1), teacher_sees().heatmap.numpy()[0, 0])


def test_a_blob_moves_by_gap_times_velocity_unless_its_velocity_counts_as_unknown() -> None:
    assert seeds_where(CALM, (1.5, -0.5), 4, (14, 8)) == 1  # floor(8.3 + 6), floor(10.2 - 2)
    assert 0.2 < seeds_where(replace(CALM, still=0.5), (1.5, -0.5), 4, (14, 8)) < 0.8
    assert seeds_where(replace(CALM, still=1), (1.5, -0.5), 4, (8, 10)) == 1


def test_noise_grows_with_the_gap() -> None:
    near, far = (seeds_where(replace(CALM, jitter=0.1), (0, 0), gap, (8, 10)) for gap in (1, 11))
    assert far < near < 1


def test_drops_and_blanks_and_false_blobs_come_as_often_as_asked() -> None:
    assert prior(replace(CALM, drop=1)).max() == pytest.approx(0.01)
    assert prior(replace(CALM, blank=1)).max() == 0
    extra = [np.count_nonzero(prior(replace(CALM, spurious=1), seed=seed) == 1) for seed in range(20)]
    assert max(extra) == 2
    assert 0.05 < np.mean([prior(replace(CALM, blank=0.2), seed=seed).max() == 0 for seed in range(200)]) < 0.35


def test_blobs_fade_by_no_more_than_asked_and_the_rest_of_the_map_stays() -> None:
    priors = [prior(replace(CALM, fade=0.5), seed=seed) for seed in range(40)]
    peaks = [values.max() for values in priors]
    assert 0.5 <= min(peaks) < 0.65 < 0.85 < max(peaks) <= 1
    assert all(values[0, 0] == np.float32(0.01) for values in priors)


def test_velocities_come_from_the_overlapping_truth_only() -> None:
    truth = np.array([[0, 0, 10, 20], [100, 100, 110, 120]], np.float32)
    moves = np.array([[1, 2], [3, 4]], np.float32)
    seen = np.array([[101, 101, 111, 121], [0, 0, 10, 60]], np.float32)
    assert match_velocities(seen, truth, moves).tolist() == [[3, 4], [0, 0]]
    assert match_velocities(seen[:0], truth, moves).shape == (0, 2)
    assert match_velocities(seen, truth[:0], moves[:0]).tolist() == [[0, 0], [0, 0]]
