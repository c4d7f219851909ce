"""Two steps of a run with batch norms at rest: alone, or as one of several processes.

torchrun --nproc-per-node 2 -m tests.support.ranks FOLDER
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.data.motchallenge import read_sequences
from training.data.samples import Shots, Sizes
from training.losses import Counts, tracking_losses
from training.models.networks import build_network
from training.placement import Placement, placed
from training.recipe import Recipe
from training.run import Run
from training.transfer import pixels


def two_steps(place: Placement, out: Path, data: Path, batch: int, accumulate: int = 1) -> dict[str, Any]:
    """Gradients of the first step, weights after both, and the samples that this process saw; in fp32."""
    recipe = Recipe("p", "yolo-1/8", 2, batch=batch, accumulate=accumulate, warmup=0, input_width=96, input_height=64)
    with place.leader_first():
        frames, identities = read_sequences([data / "sequences" / "seq"], out / "frames")
    sizes = Sizes((recipe.input_wh,), (1.0,), batch, 0)
    samples = Shots(frames, np.ones(len(frames)), sizes, 64, 3, (0.8, 1.2), 1.5)
    torch.manual_seed(0)
    run = Run(recipe, build_network("yolo-1/8"), identities, out, place)
    run.network.eval()

    def losses_of(part: dict[str, Tensor], counts: Counts) -> dict[str, Tensor]:
        return tracking_losses(run.network(pixels(part["image"]) / 255), part, run.classifier, counts)

    first, asked = None, []
    for parts in run.steps(samples):
        asked += [number for part in parts for number in part["index"].tolist()]
        run.learn(parts, losses_of)
        first = first or {name: p.grad.clone() for name, p in run.network.named_parameters() if p.grad is not None}
    return {"gradients": first, "weights": run.network.state_dict(), "asked": asked, "losses": run.history}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with placed("cpu") as mine:
        torch.save(two_steps(mine, folder / "run", folder / "data", batch=2), folder / f"rank{mine.rank}.pt")
