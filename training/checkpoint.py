"""What a run leaves on disk: checkpoints, weights and records, whole at any moment."""

import json
from pathlib import Path
from typing import Any

import torch

from engines.files import whole


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Everything that is needed to go on as if the run had never stopped, or to export."""
    with whole(path) as partial:
        torch.save(state, partial)


def save_record(path: Path, record: Any) -> None:
    """JSON for people."""
    with whole(path) as partial:
        partial.write_text(json.dumps(record, indent=1) + "\n")


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """The saved state on the CPU, or None where there is none."""
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state
