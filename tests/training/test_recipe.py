"""Shipped recipes are valid, and mistakes are named."""

from pathlib import Path

import pytest

from training.recipe import Recipe

RECIPES = sorted((Path(__file__).parents[2] / "training" / "recipes").glob("*.toml"))


def test_there_are_recipes() -> None:
    assert {path.stem for path in RECIPES} >= {"yolo-teacher", "yolo-small", "yolo-student"}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_shipped_recipe_is_valid(path: Path) -> None:
    recipe = Recipe.read(path)
    assert recipe.sequences
    assert recipe.steps > recipe.pretrain_steps


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "pair"),
        ('pair="p"\nnetwork="n"\nsteps=1\nwobble=3', "wobble"),
        ('pair="p"\nnetwork="n"\nsteps=1\ninput_width=100', "multiple of 32"),
        ('pair="p"\nnetwork="n"\nsteps=0', "steps must be at least 1"),
        ('pair="p"\nnetwork="n"\nsteps=1\naccumulate=0', "accumulate"),
        ('pair="p"\nnetwork="n"\nsteps=1\nema=1', "ema"),
        ('pair="p"\nnetwork="n"\nsteps=1\nmapping="magic"', "magic"),
        ('pair="p"\nnetwork="n"\nsteps=1\ntransfer="osmosis"', "osmosis"),
    ],
)
def test_a_mistake_is_named_with_its_file(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=says) as caught:
        Recipe.read(path)
    assert "bad.toml" in str(caught.value)


def test_a_share_of_a_run_has_its_share_of_every_phase() -> None:
    recipe = Recipe("p", "n", 1000, warmup=200, pretrain_steps=300)
    half, tiny = recipe.scaled(0.5), recipe.scaled(0.0001)
    assert (half.steps, half.warmup, half.pretrain_steps) == (500, 100, 150)
    assert (tiny.steps, tiny.warmup, tiny.pretrain_steps) == (1, 0, 0)
    assert recipe.scaled(1) == recipe
