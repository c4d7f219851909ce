"""One training run on disk and in memory: optimiser, averaged weights, checkpoint and the record of what happened."""

import json
import math
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from training.board import NoBoard, open_board
from training.checkpoint import load_checkpoint, save_checkpoint, save_record
from training.data.loader import batches
from training.data.samples import Samples
from training.losses import Counts, IdentityClassifier
from training.models.heads import TrackingNetwork
from training.placement import Placement
from training.recipe import Recipe
from training.weights import halved

SAVE_EVERY_S = 45.0
REPORT_EVERY = 10
"""Steps between two looks at the losses: each look makes a GPU's queue run empty."""

Batch: TypeAlias = dict[str, Tensor]
"""What a loader yields, plus `index` (B,) int64 on the CPU: the numbers of its samples."""
Losses: TypeAlias = Callable[[Batch, Counts], dict[str, Tensor]]
"""A batch and the step's counts to losses by name; `total` is the one to learn from."""


class Run:
    """State of a run. `network` learns, `average` is what gets exported, `classifier` is kept for EFM."""

    def __init__(
        self,
        recipe: Recipe,
        network: TrackingNetwork,
        identities: Mapping[str, int],
        out: Path,
        place: Placement,
        data: dict[str, Any] | None = None,
        known: dict[str, Tensor] | None = None,
        save_every_s: float = SAVE_EVERY_S,
    ) -> None:
        """`identities`: how many each sequence has, in the order in which they are counted. `data`: for the record.

        `known`: weights of an identity classifier to go on with (see `classifier_of`).
        """
        torch.manual_seed(recipe.seed)
        self.recipe, self.out, self.place, self.data = recipe, out, place, data or {}
        self.step, self.seconds, self.waited_s = 0, 0.0, 0.0
        self._commit = commit()  # now, since the checkout may go on while the run does
        self.network = network.to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._identities = dict(identities)
        self.classifier = IdentityClassifier(network.embedding, sum(identities.values())).to(place.device)
        if known is not None:
            self.classifier.load_state_dict(known)
        self.average = averaged(self.network, recipe.ema)
        begun, new = self.network.begun_and_new()
        if recipe.only:
            begun, new = [], self._chosen(recipe.only)
        fast = [*new, *self.classifier.parameters()]
        self._parameters = [*begun, *fast]
        self.optimizer = torch.optim.Adam(
            [{"params": group, "share": share} for group, share in ((begun, recipe.slow), (fast, 1.0)) if group]
        )
        self._statistics = [buffer for buffer in self.network.buffers() if buffer.is_floating_point()]
        self.history: list[dict[str, float]] = []
        self._unread: list[tuple[int, dict[str, Tensor]]] = []
        self._save_every_s, self._saved_at, self._saved_step = save_every_s, time.monotonic(), -1
        self._resume()
        self.board = open_board(out, self.step) if place.leads else NoBoard()

    def _chosen(self, beginnings: tuple[str, ...]) -> list[nn.Parameter]:
        """The parameters with such names, the only ones that learn. Raises ValueError where there is none."""
        named = dict(self.network.named_parameters())
        for name, parameter in named.items():
            parameter.requires_grad_(name.startswith(beginnings))
        chosen = [parameter for parameter in named.values() if parameter.requires_grad]
        if not chosen:
            raise ValueError(f"no part of the network begins with {' or '.join(beginnings)}")
        return chosen

    def _resume(self) -> None:
        """Go on where the folder's checkpoint is. Raises ValueError where that was another recipe's."""
        state = load_checkpoint(self.out / "checkpoint.pt")
        if state is None:
            return
        if "recipe" not in state:
            raise ValueError(f"{self.out} is of an earlier version: give another --out, and its weights.pt as --start")
        ours = json.loads(json.dumps(asdict(self.recipe)))
        other = {name: value for name, value in state["recipe"].items() if ours.get(name) != value}
        if other:
            raise ValueError(
                f"{self.out} was begun with {other}, now it is { {name: ours.get(name) for name in other} }; "
                "give another --out, or delete the folder to begin anew"
            )
        self.network.load_state_dict(state["network"])
        self.average.module.load_state_dict(state["average"])
        self.classifier.load_state_dict(state["classifier"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.history = state["step"], state["history"]
        self.seconds, self.waited_s = state["seconds"], state["waited_s"]

    def steps(self, samples: Samples, stop: int | None = None) -> Iterator[list[Batch]]:
        """What each step still to come learns from: `accumulate` batches. Saves at the end, or after step `stop`.

        Which samples those are depends on the step and this process's rank alone.
        """
        last = self.recipe.steps if stop is None else min(stop, self.recipe.steps)
        loader = batches(samples, self._wanted(last), self.place.device)
        numbers = self._wanted(last)
        silent = not self.place.leads
        with tqdm(
            total=self.recipe.steps, initial=self.step, desc=self.out.name, unit="step", disable=silent
        ) as self.bar:
            while self.step < last:
                began_s = time.perf_counter()
                parts = [next(loader) | {"index": torch.tensor(next(numbers))} for _ in range(self.recipe.accumulate)]
                self.waited_s += time.perf_counter() - began_s
                yield parts
                self.seconds += time.perf_counter() - began_s
                self.bar.update()
            if self._saved_step != self.step:
                self.save()

    def _wanted(self, last: int) -> Iterator[range]:
        """The numbers of the samples of each batch to come, for this process."""
        batch, parts = self.recipe.batch, self.recipe.accumulate
        for step in range(self.step, last):
            for part in range(parts):
                first = ((step * self.place.world + self.place.rank) * parts + part) * batch
                yield range(first, first + batch)

    def learn(self, parts: Sequence[Batch], losses_of: Losses) -> None:
        """One optimiser step on the losses of all parts, which are those of one large batch; saves now and then."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate() * group["share"]
        self.optimizer.zero_grad(set_to_none=True)
        counts = Counts.of(parts)
        self.place.mean(counts.all)
        sums: dict[str, Tensor] = {}
        for part in parts:
            losses = losses_of(part, counts)
            losses["total"].backward()  # type: ignore[no-untyped-call]
            for name, loss in losses.items():
                sums[name] = sums.get(name, 0) + loss.detach()
        self._agree(sums)
        nn.utils.clip_grad_norm_(self.network.parameters(), 10.0)
        self.optimizer.step()
        self.average.update_parameters(self.network)
        self.step += 1
        self._unread.append((self.step, sums))
        if self.step % REPORT_EVERY == 0:
            self._report()
        if self.place.leads and time.monotonic() - self._saved_at > self._save_every_s:
            self.save()

    def _agree(self, losses: dict[str, Tensor]) -> None:
        """Several processes continue with the mean of their gradients, running statistics and losses.

        Not torch's DistributedDataParallel: a step has several backward passes through parts of the network and the
        classifier, and its statistics and losses are averaged, too; so one reduction after the last pass does it.
        """
        if self.place.world > 1:
            for parameter in self._parameters:
                if parameter.grad is None:  # nobody in this process's samples has an identity, say
                    parameter.grad = torch.zeros_like(parameter)
            gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
            self.place.mean([*gradients, *self._statistics, *losses.values()])

    def _report(self) -> None:
        """Losses from the device to the history. Raises FloatingPointError where one is no number any more."""
        for step, losses in self._unread:
            values = dict(zip(losses, torch.stack(list(losses.values())).tolist(), strict=True))
            if not math.isfinite(values["total"]):
                raise FloatingPointError(f"loss is {values} at step {step}; lower learning_rate in the recipe")
            self.history.append({"step": step, **{name: float(f"{value:.6g}") for name, value in values.items()}})
            self.board.add(step, values | {"learning_rate": self.optimizer.param_groups[-1]["lr"]})
        self._unread.clear()
        recent = self.history[-50:]
        names = list(recent[-1])[1:] if recent else []
        self.bar.set_postfix({name: f"{sum(row[name] for row in recent) / len(recent):.3f}" for name in names})

    def learning_rate(self) -> float:
        """Linear warm-up, then half a cosine down to 1/50 of the peak."""
        recipe = self.recipe
        if self.step < recipe.warmup:
            return recipe.learning_rate * (self.step + 1) / recipe.warmup
        done = (self.step - recipe.warmup) / max(recipe.steps - recipe.warmup, 1)
        return recipe.learning_rate * (0.02 + 0.98 * (1 + math.cos(math.pi * done)) / 2)

    def save(self) -> None:
        """Checkpoint, exportable weights (`weights.pt`) and `facts.json`; only the process that leads writes."""
        self._report()
        self._saved_at, self._saved_step = time.monotonic(), self.step
        if not self.place.leads:
            return
        state = {
            "network": self.network.state_dict(),
            "average": self.average.module.state_dict(),
            "classifier": self.classifier.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "recipe": json.loads(json.dumps(asdict(self.recipe))),
            "step": self.step,
            "seconds": self.seconds,
            "waited_s": self.waited_s,
            "history": self.history,
        }
        save_checkpoint(self.out / "checkpoint.pt", state)
        weights = {
            "network": halved(self.average.module.state_dict()),
            "classifier": halved(self.classifier.state_dict()),
            "identities": self._identities,
            "recipe": json.loads(json.dumps(asdict(self.recipe))),
            "commit": self._commit,
            "step": self.step,
        }
        save_checkpoint(self.out / "weights.pt", weights)
        save_record(self.out / "facts.json", self.facts())
        self.board.flush()

    def facts(self) -> dict[str, Any]:
        """The record of the run so far."""
        samples = self.step * self.recipe.batch * self.recipe.accumulate * self.place.world
        on_gpu = self.place.device.type == "cuda"
        return {
            "recipe": asdict(self.recipe),
            "data": self.data,
            "commit": self._commit,
            "step": self.step,
            "seconds": round(self.seconds, 1),
            "samples_per_s": round(samples / self.seconds, 2) if self.seconds else None,
            "share_computing": round(1 - self.waited_s / self.seconds, 4) if self.seconds else None,
            "identities": self.classifier.linear.out_features,
            "device": torch.cuda.get_device_name(self.place.device) if on_gpu else "cpu",
            "processes": self.place.world,
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "losses": self.history[:: max(1, len(self.history) // 200)],
        }


def averaged(network: TrackingNetwork, decay: float) -> AveragedModel:
    """The exponential moving average of weights and statistics from here on: what is exported. Decay 0: the last."""
    # With decay 0 every value is taken over as it is; torch's average of decay 0 does so, too.
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)  # type: ignore[no-untyped-call]
    average.n_averaged.fill_(1)  # begin with these weights, which may be trained, rather than with the first step's
    return average.requires_grad_(False)


def commit() -> str:
    """Short commit of the code that runs, empty outside a checkout."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    with suppress(FileNotFoundError):
        result = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent, check=False)  # noqa: S603
        return result.stdout.strip()
    return ""
