"""Shipped recipes are valid, and mistakes are named."""

from pathlib import Path

import pytest

from training.recipe import Recipe

RECIPES = sorted((Path(__file__).parents[2] / "training" / "recipes").rglob("*.toml"))
RECIPES = [path for path in RECIPES if not path.stem.startswith("_")]

SHARES = ("image_share", "drop", "still", "spurious", "fade", "blank")


def test_there_are_recipes() -> None:
    assert {path.stem for path in RECIPES} >= {
        f"{pair}-{kind}" for pair in ("open", "mot") for kind in ("teacher", "student", "plain")
    }


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_shipped_recipe_is_valid(path: Path) -> None:
    recipe = Recipe.read(path)
    assert recipe.sequences or recipe.images or recipe.drawn


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "pair"),
        ("wobble = 3", "wobble"),
        ("input_width = 100", "input_width must be a multiple of 32 above 0, got 100"),
        ("input_height = 0", "input_height"),
        ("steps = 0", "steps must be at least 1, got 0"),
        ("batch = -8", "batch"),
        ("accumulate = 0", "accumulate"),
        ("max_gap = 0", "max_gap"),
        ("warmup = 1001", "warmup must be at most steps .1000., got 1001"),
        ("warmup = -1", "warmup must be at least 0"),
        ("pretrain_steps = 1000", "pretrain_steps must be below steps .1000., got 1000"),
        ("pretrain_steps = -1", "pretrain_steps must be at least 0"),
        ("seed = -1", "seed"),
        ("ema = 1", "ema"),
        ("learning_rate = inf", "learning_rate"),
        ("learning_rate = -1e-4", "learning_rate"),
        ("mimic = nan", "mimic"),
        ("jitter = -0.1", "jitter"),
        ("scale_min = 0", "scale_min must be a number above 0"),
        ("scale_min = 2", "scale_min must be at most scale_max .1.25., got 2"),
        ("zoom = -1", "zoom"),
        *((f"{name} = {value}", f"{name} must be in 0..1") for name in SHARES for value in (-0.1, 1.1, "nan")),
        ('mapping = "magic"', "magic"),
        ('transfer = "osmosis"', "osmosis"),
        ("steps = 1000.0", "steps must be a whole number, got 1000.0"),
        ("batch = true", "batch must be a whole number, got True"),
        ('drop = "0.2"', "drop must be a number, got '0.2'"),
        ("network = 8", "network must be a text, got 8"),
        ('sequences = "MOT17-02"', "sequences must be a list of texts, got 'MOT17-02'"),
        ("images = [1]", "images must be a list of texts"),
    ],
)
def test_a_mistake_is_named_with_its_file(tmp_path: Path, text: str, says: str) -> None:
    needed = {"pair": '"p"', "network": '"n"', "steps": "1000"}
    more = [f"{name} = {value}" for name, value in needed.items() if not text.startswith(f"{name} =") and text]
    path = tmp_path / "bad.toml"
    path.write_text("\n".join([*more, text]))
    with pytest.raises(ValueError, match=says) as caught:
        Recipe.read(path)
    assert "bad.toml" in str(caught.value)


def test_ends_of_the_ranges_are_in_them(tmp_path: Path) -> None:
    path = tmp_path / "good.toml"
    path.write_text(
        'pair = "p"\nnetwork = "n"\nsteps = 200\npretrain_steps = 199\nema = 0\ndrop = 1\nblank = 0\nmimic = 0'
    )
    assert Recipe.read(path).warmup == 200


def test_a_share_of_a_run_has_its_share_of_every_phase() -> None:
    recipe = Recipe("p", "n", 1000, warmup=200, pretrain_steps=300)
    half, tiny = recipe.scaled(0.5), recipe.scaled(0.0001)
    assert (half.steps, half.warmup, half.pretrain_steps) == (500, 100, 150)
    assert (tiny.steps, tiny.warmup, tiny.pretrain_steps) == (1, 0, 0)
    assert recipe.scaled(1) == recipe


def test_a_recipe_has_the_entries_of_its_bases_unless_it_has_others(tmp_path: Path) -> None:
    (tmp_path / "_one.toml").write_text('pair = "p"\nnetwork = "n"\nsteps = 300\nbatch = 4\n')
    (tmp_path / "_two.toml").write_text("batch = 5\nseed = 9\n")
    (tmp_path / "deeper").mkdir()
    path = tmp_path / "deeper" / "recipe.toml"
    path.write_text('base = ["../_one", "../_two"]\nseed = 2\n')
    assert Recipe.read(path) == Recipe("p", "n", 300, batch=5, seed=2)
    path.write_text('base = "../_one"\n')
    assert Recipe.read(path) == Recipe("p", "n", 300, batch=4)


@pytest.mark.parametrize(
    ("base", "says"),
    [('"b"', "a -> b -> a"), ('"nowhere"', r"nowhere\.toml"), ("3", "base must be a text or a list of texts, got 3")],
)
def test_a_base_that_cannot_be_is_named(tmp_path: Path, base: str, says: str) -> None:
    (tmp_path / "b.toml").write_text('base = "a"\n')
    (tmp_path / "a.toml").write_text(f"base = {base}\n")
    with pytest.raises((ValueError, FileNotFoundError), match=says):
        Recipe.read(tmp_path / "a.toml")


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("pair = \n")
    with pytest.raises(ValueError, match=r"a\.toml is no TOML"):
        Recipe.read(tmp_path / "a.toml")
