"""Trained weights on disk (`weights.pt`): what a run leaves for export, for students and for fine-tuning."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from training.checkpoint import load_checkpoint
from training.losses import IdentityClassifier, PivotFeatures
from training.models.heads import TrackingNetwork
from training.models.networks import build_network
from training.recipe import Recipe


def halved(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights in fp16, as they are exported: half the file, and small enough to be kept with the code."""
    return {name: value.half() if value.is_floating_point() else value for name, value in state.items()}


def load_network(path: Path) -> tuple[TrackingNetwork, dict[str, Any]]:
    """The network of a weights.pt in eval mode, and the file's whole record: recipe, commit, step.

    Raises FileNotFoundError where there is none, saying how to get one.
    """
    record = load_checkpoint(path)
    if record is None:
        raise FileNotFoundError(f"no weights at {path}; train them first: python -m training.train_plain --help")
    return network_from(record), record


def load_start(path: Path, recipe: Recipe) -> tuple[TrackingNetwork, dict[str, Any]]:
    """What `load_network` gives, of weights that a run of `recipe` can begin with.

    Raises ValueError where they are another network's, and what `load_network` raises.
    """
    network, record = load_network(path)
    found = record["recipe"]["network"].removesuffix(" + prior")
    if found != recipe.network:
        raise ValueError(f"{path} holds {found}, the recipe trains {recipe.network}; begin with weights of that")
    return network, record


def network_from(record: dict[str, Any]) -> TrackingNetwork:
    """The network, with or without prior, that a record's weights belong to."""
    name, state = record["recipe"]["network"].removesuffix(" + prior"), record["network"]
    last = next(key for key in ("id.2.weight", "look.4.weight", "look.2.weight") if key in state)
    network = build_network(name, embedding=len(state[last]))
    if {key: value.shape for key, value in network.state_dict().items()} != {k: v.shape for k, v in state.items()}:
        network = network.twin(prior=True)
    network.load_state_dict(state)
    return network.eval()


def classifier_of(record: dict[str, Any], embedding: int, identities: Mapping[str, int]) -> dict[str, Tensor] | None:
    """The identity classifier of a record, None where it has none (published weights) or one of other identities.

    identities: how many each sequence has, in the order in which they are numbered; `embedding`: the network's. Weights
    that do not say whose identities they know (saved before that was) are judged by the classifier's shape alone.

    A run that goes on from the record keeps it. A student begins with its teacher's: its embeddings become like those.
    """
    state: dict[str, Tensor] | None = record.get("classifier")
    if state is None or state["linear.weight"].shape != (sum(identities.values()), embedding):
        return None
    if "identities" in record and list(record["identities"].items()) != list(identities.items()):
        return None
    return {name: value.float() for name, value in state.items()}


def pivot_from(record: dict[str, Any]) -> PivotFeatures:
    """The identity classifier that was trained with a record's network. Raises ValueError where there is none."""
    if "classifier" not in record:
        raise ValueError(
            "these weights have no identity classifier, which pivot features need; train on from them first"
        )
    identities, dimension = record["classifier"]["linear.weight"].shape
    classifier = IdentityClassifier(dimension, identities)
    classifier.load_state_dict(record["classifier"])
    return PivotFeatures(classifier).eval()
