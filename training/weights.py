"""Trained weights on disk (`weights.pt`): what a run leaves for export, for students and for fine-tuning."""

from pathlib import Path
from typing import Any

from torch import Tensor

from training.checkpoint import load_checkpoint
from training.models.yolo import YoloFairMot


def halved(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights in fp16, as they are exported: half the file, and small enough to be kept with the code."""
    return {name: value.half() if value.is_floating_point() else value for name, value in state.items()}


def load_network(path: Path) -> tuple[YoloFairMot, dict[str, Any]]:
    """The network of a weights.pt in eval mode, and the file's whole record: recipe, commit, step.

    Raises FileNotFoundError where there is none, saying how to get one.
    """
    record = load_checkpoint(path)
    if record is None:
        raise FileNotFoundError(f"no weights at {path}; train them first: python -m training.train_plain --help")
    return network_from(record), record


def network_from(record: dict[str, Any]) -> YoloFairMot:
    """The network, with or without prior, that a record's weights belong to."""
    width, state = record["recipe"]["width"], record["network"]
    network = YoloFairMot(width)
    if state["hm.0.weight"].shape != network.state_dict()["hm.0.weight"].shape:
        network = YoloFairMot(width, prior=True)
    network.load_state_dict(state)
    return network.eval()
