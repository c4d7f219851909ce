"""FairMOT's published checkpoints as weights of ours, to start from or to serve.

python -m training.fairmot_checkpoint fairmot_dla34.pth --network dla34 --output runs/fairmot-dla34/weights.pt
python -m training.fairmot_checkpoint fairmot_lite.pth --network yolo-1/2 --output runs/fairmot-yolo/weights.pt
python -m training.fairmot_checkpoint fairmot_dla34.pth --network dla34-small --output runs/small-start/weights.pt

The last one takes a network with one pair of blocks per stage from the full one. `--partial` also accepts relatives
such as CenterNet's COCO detector: what does not fit keeps its fresh values, and the report says what that was.
"""

import argparse
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from training.checkpoint import save_checkpoint
from training.models.networks import NETWORKS, build_network
from training.run import commit
from training.weights import halved

DEAD = ("base.fc.",)
"""Prefixes of weights that FairMOT's files carry and no network uses."""
DEEP = re.compile(r"base\.(level[34])\.tree1\.(.+)")
"""In a full DLA34, the first half of a stage of two trees."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How a checkpoint fits a network; names in the network's order."""

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    """In the network and not in the checkpoint."""
    reshaped: tuple[str, ...]
    """In both, with different shapes, given as `name: network's shape, checkpoint's shape`."""
    unknown: tuple[str, ...]
    """In the checkpoint and not in the network."""

    @property
    def perfect(self) -> bool:
        """Whether every value of the one went into the other."""
        return not (self.missing or self.reshaped or self.unknown)

    def report(self) -> str:
        """For people."""
        lines = [f"{len(self.loaded)} entries fit"]
        for title in ("missing", "reshaped", "unknown"):
            names: tuple[str, ...] = getattr(self, title)
            if names:
                rest = f" and {len(names) - 10} more" if len(names) > 10 else ""
                lines.append(f"{len(names)} {title}: {', '.join(names[:10])}{rest}")
        return "\n".join(lines)


def read_fairmot(path: Path) -> dict[str, Tensor]:
    """The state of a checkpoint file, without the prefix of parallel training and without dead weights.

    Raises ValueError where the file has no state. Nothing in the file is executed.
    """
    content = torch.load(path, map_location="cpu", weights_only=True)
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f"{path} has no state_dict: expected a checkpoint as FairMOT publishes them")
    plain = {name.removeprefix("module."): value for name, value in state.items()}
    return {name: value for name, value in plain.items() if not name.startswith(DEAD)}


def slimmed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state of a full DLA34 for `dla34-small`: of each stage of two trees, the first one.

    Its root had not seen the stage's input, which joins the small one's: those weights are 0.
    """
    slim = {name: value for name, value in state.items() if not name.startswith(("base.level3.", "base.level4."))}
    for name, value in state.items():
        match = DEEP.fullmatch(name)
        if match is None:
            continue
        level, rest = match.groups()
        if rest == "root.conv.weight":
            bottom = state[f"base.{level}.tree1.project.0.weight"].shape[1]
            value = torch.cat((value, value.new_zeros(value.shape[0], bottom, 1, 1)), 1)
        slim[f"base.{level}.{rest}"] = value
    return slim


def load_fairmot(network: nn.Module, state: dict[str, Tensor], partial: bool = False) -> Fit:
    """Put a checkpoint's values into the network. Raises ValueError with the report unless all fit or `partial`."""
    own = network.state_dict()
    loaded = [name for name in own if name in state and own[name].shape == state[name].shape]
    fit = Fit(
        loaded=tuple(loaded),
        missing=tuple(name for name in own if name not in state),
        reshaped=tuple(
            f"{name}: {tuple(own[name].shape)}, {tuple(state[name].shape)}"
            for name in own
            if name in state and own[name].shape != state[name].shape
        ),
        unknown=tuple(name for name in state if name not in own),
    )
    if not fit.perfect and not partial:
        raise ValueError(f"checkpoint and network do not fit\n{fit.report()}")
    network.load_state_dict({name: state[name] for name in loaded}, strict=False)
    return fit


def main(argv: list[str] | None = None) -> None:
    """Convert one file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, help="file with state_dict, .pth")
    parser.add_argument("--network", choices=list(NETWORKS), required=True)
    parser.add_argument("--pair", default="fairmot", help="name that teacher and students share (default %(default)s)")
    parser.add_argument("--partial", action="store_true", help="what does not fit keeps its fresh values")
    parser.add_argument("--output", type=Path, required=True, help="weights.pt to write")
    args = parser.parse_args(argv)

    network = build_network(args.network)
    try:
        state = read_fairmot(args.checkpoint)
        if args.network == "dla34-small":
            state = slimmed(state)
        fit = load_fairmot(network, state, args.partial)
    except (OSError, ValueError) as error:
        parser.exit(1, f"{error}\n")
    print(fit.report())
    recipe = {"pair": args.pair, "network": args.network, "mapping": "none"}
    record = {"network": halved(network.state_dict()), "recipe": recipe, "commit": commit(), "step": 0}
    save_checkpoint(args.output, record)
    print(f"wrote {args.output}")


if __name__ == "__main__":
    main()
