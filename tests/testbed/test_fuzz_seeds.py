"""What fuzzing found stays found; a second of it for each target, in every run."""

import random

import pytest

from testbed.fuzz import SEEDS, TARGETS, fuzz, tried


def test_every_seed_belongs_to_a_target_and_every_target_has_one() -> None:
    assert {path.name.partition("-")[0] for path in SEEDS.iterdir()} == set(TARGETS)


@pytest.mark.parametrize("path", sorted(SEEDS.iterdir()), ids=lambda path: path.name)
def test_seed_is_read_or_refused_as_foreseen(path) -> None:
    assert tried(TARGETS[path.name.partition("-")[0]], path.read_bytes()) is None


@pytest.mark.parametrize("name", TARGETS)
def test_neighbours_of_the_seeds_are_read_or_refused_as_foreseen(name: str) -> None:
    count, _, wrong = fuzz(name, 1.0, random.Random(17))  # noqa: S311
    assert wrong == []
    assert count > 20
