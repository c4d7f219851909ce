"""One training run on disk and in memory: optimiser, averaged weights, checkpoint and the record of what happened."""

import json
import math
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from training.checkpoint import load_checkpoint, save_checkpoint
from training.losses import IdentityClassifier
from training.models.heads import TrackingNetwork
from training.recipe import Recipe
from training.weights import halved

SAVE_EVERY_S = 60.0


class Run:
    """State of a run. `network` learns, `average` is what gets exported, `classifier` is kept for EFM."""

    def __init__(
        self,
        recipe: Recipe,
        network: TrackingNetwork,
        identities: int,
        out: Path,
        known: dict[str, Tensor] | None = None,
    ) -> None:
        """`known`: weights of an identity classifier to go on with (see `classifier_of`)."""
        torch.manual_seed(recipe.seed)
        self.recipe, self.out, self.step, self.seconds = recipe, out, 0, 0.0
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.classifier = IdentityClassifier(network.embedding, identities)
        if known is not None:
            self.classifier.load_state_dict(known)
        decay = get_ema_multi_avg_fn(recipe.ema)  # type: ignore[no-untyped-call]
        self.average = AveragedModel(self.network, multi_avg_fn=decay, use_buffers=True)
        parameters = [*network.parameters(), *self.classifier.parameters()]
        self.optimizer = torch.optim.Adam(parameters, lr=recipe.learning_rate)
        self.history: list[dict[str, float]] = []
        self._saved_at, self._learnt_at = time.monotonic(), time.perf_counter()
        state = load_checkpoint(out / "checkpoint.pt")
        if state is not None:
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.classifier.load_state_dict(state["classifier"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.seconds, self.history = state["step"], state["seconds"], state["history"]

    def batches(self, samples: Dataset[dict[str, Any]]) -> Iterator[dict[str, Tensor]]:
        """The batches still to come, with a progress bar; sample order is fixed by the recipe's seed."""
        batch = self.recipe.batch
        todo = range(self.step * batch, self.recipe.steps * batch)
        loader: Iterable[dict[str, Tensor]] = DataLoader(samples, batch, sampler=todo, num_workers=1, prefetch_factor=4)
        self._learnt_at = time.perf_counter()
        self.bar = tqdm(loader, total=self.recipe.steps, initial=self.step, desc=self.recipe.network, unit="step")
        return iter(self.bar)

    def learn(self, losses: dict[str, Tensor]) -> None:
        """One optimiser step on losses["total"]; saves about once a minute."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate()
        self.optimizer.zero_grad(set_to_none=True)
        losses["total"].backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 10.0)
        self.optimizer.step()
        self.average.update_parameters(self.network)
        self.step += 1
        now = time.perf_counter()
        self.seconds += now - self._learnt_at
        self._learnt_at = now
        values = {name: float(loss.detach()) for name, loss in losses.items()}
        if not math.isfinite(values["total"]):
            raise FloatingPointError(f"loss is {values} at step {self.step}; lower learning_rate in the recipe")
        self.history.append({"step": self.step, **{name: round(value, 4) for name, value in values.items()}})
        if self.step % 10 == 0:
            recent = self.history[-50:]
            self.bar.set_postfix({name: f"{sum(r[name] for r in recent) / len(recent):.3f}" for name in values})
        if time.monotonic() - self._saved_at > SAVE_EVERY_S or self.step == self.recipe.steps:
            self.save()

    def learning_rate(self) -> float:
        """Linear warm-up, then half a cosine down to 1/50 of the peak."""
        recipe = self.recipe
        if self.step < recipe.warmup:
            return recipe.learning_rate * (self.step + 1) / recipe.warmup
        done = (self.step - recipe.warmup) / max(recipe.steps - recipe.warmup, 1)
        return recipe.learning_rate * (0.02 + 0.98 * (1 + math.cos(math.pi * done)) / 2)

    def save(self) -> None:
        """Checkpoint, exportable weights (`weights.pt`) and `facts.json`."""
        self._saved_at = time.monotonic()
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "classifier": self.classifier.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "history": self.history,
        }
        save_checkpoint(self.out / "checkpoint.pt", state)
        weights = {
            "network": halved(self.average.module.state_dict()),
            "classifier": halved(self.classifier.state_dict()),
            "recipe": {name: value for name, value in asdict(self.recipe).items() if not isinstance(value, tuple)},
            "commit": commit(),
            "step": self.step,
        }
        save_checkpoint(self.out / "weights.pt", weights)
        facts = {
            "recipe": asdict(self.recipe),
            "commit": commit(),
            "step": self.step,
            "seconds": round(self.seconds, 1),
            "identities": self.classifier.linear.out_features,
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "losses": self.history[:: max(1, len(self.history) // 200)],
        }
        (self.out / "facts.json").write_text(json.dumps(facts, indent=1) + "\n")


def commit() -> str:
    """Short commit of the code that runs, empty outside a checkout."""
    result = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
        check=False,
    )
    return result.stdout.strip()
