"""A step is the same however its samples are divided: into parts, or over processes."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.ranks import two_steps
from tests.support.tiny_data import write_data
from training.losses import Counts
from training.models.networks import build_network
from training.placement import Placement, placed
from training.recipe import Recipe
from training.run import Run

ROOT = Path(__file__).resolve().parents[2]
ALONE = Placement(torch.device("cpu"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The data, and two steps on batches of four."""
    folder = tmp_path_factory.mktemp("whole")
    return folder / "data", two_steps(ALONE, folder / "run", write_data(folder), batch=4)


def assert_same_step(one: dict[str, Any], other: dict[str, Any]) -> None:
    largest = max(gradient.abs().max() for gradient in other["gradients"].values())
    for name, gradient in other["gradients"].items():
        torch.testing.assert_close(one["gradients"][name], gradient, atol=1e-5 * float(largest), rtol=1e-3, msg=name)
    for ours, theirs in zip(one["losses"][:1], other["losses"][:1], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)


def test_parts_of_a_step_make_the_gradient_of_one_large_batch(tmp_path: Path, whole: tuple[Path, Any]) -> None:
    data, expected = whole
    parts = two_steps(ALONE, tmp_path, data, batch=2, accumulate=2)
    assert parts["asked"] == expected["asked"] == list(range(8))
    assert_same_step(parts, expected)


def test_two_processes_share_a_step_and_stay_equal(tmp_path: Path, whole: tuple[Path, Any]) -> None:
    data, expected = whole
    (tmp_path / "data").symlink_to(data)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, "-m", "tests.support.ranks", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    assert sorted(first["asked"] + second["asked"]) == expected["asked"]
    assert_same_step(first, expected)
    for name, value in first["weights"].items():
        torch.testing.assert_close(second["weights"][name], value, rtol=0, atol=0, msg=name)
    assert {path.name for path in (tmp_path / "run").iterdir()} >= {"checkpoint.pt", "weights.pt", "facts.json"}


def test_a_loss_that_is_no_number_ends_the_run_and_leaves_its_last_checkpoint(tmp_path: Path) -> None:
    recipe = Recipe("p", "yolo-1/8", 30, batch=1)
    run = Run(recipe, build_network("yolo-1/8"), {"seq": 1}, tmp_path, ALONE)

    class Same:
        """Empty samples."""

        def __len__(self) -> int:
            return recipe.steps

        def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
            return {
                "heatmap": torch.zeros(1, 1, 1),
                "mask": torch.zeros(1),
                "ids": torch.zeros(1, dtype=torch.int64),
            }

    def broken(part: Any, counts: Counts) -> dict[str, torch.Tensor]:
        weight = next(run.network.parameters()).sum()
        return {"total": weight * (float("nan") if run.step == 13 else 1.0)}

    with pytest.raises(FloatingPointError, match=r"step 14.*learning_rate"):
        for parts in run.steps(Same()):
            run.learn(parts, broken)
            if run.step == 5:
                run.save()
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert saved["step"] == 5


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_named() -> None:
    with placed(None) as place:
        assert place.device.type == "cpu"
    with pytest.raises(RuntimeError, match="no GPU"), placed("cuda"):
        pass
