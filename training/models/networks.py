"""The networks by name, as recipes and weights.pt call them."""

from collections.abc import Callable

from training.models.dla import DlaFairMot
from training.models.heads import TrackingNetwork
from training.models.pyramid import PyramidStudent, PyramidTeacher
from training.models.yolo import YoloFairMot

NETWORKS: dict[str, Callable[..., TrackingNetwork]] = {
    "yolo-1/2": lambda **options: YoloFairMot(0.5, **options),
    "yolo-1/4": lambda **options: YoloFairMot(0.25, **options),
    "yolo-1/8": lambda **options: YoloFairMot(0.125, **options),
    "dla34": lambda **options: DlaFairMot(**options),
    "dla34-small": lambda **options: DlaFairMot(depths=(1, 1, 1, 1), **options),
    "pyramid": lambda **options: PyramidTeacher(**options),
    "pyramid-student": lambda **options: PyramidStudent(**options),
    "dla34-half": lambda **options: DlaFairMot(width=0.5, **options),
}


def build_network(name: str, prior: bool = False, embedding: int | None = None) -> TrackingNetwork:
    """A fresh network. `embedding` None: as wide as FairMOT's, 64 for yolo, 128 for the others.

    Raises ValueError for an unknown name, listing the known.
    """
    if name not in NETWORKS:
        raise ValueError(f"no network {name!r}; there are {', '.join(NETWORKS)}")
    options = {} if embedding is None else {"embedding": embedding}
    return NETWORKS[name](prior=prior, **options)
