"""Curves for TensorBoard, where it is installed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


class Board(Protocol):
    """Takes numbers of steps."""

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """The values of one step, by name."""
        ...

    def flush(self) -> None:
        """Have on disk what was added."""
        ...


class NoBoard:
    """Where nobody looks."""

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """See `Board.add`."""

    def flush(self) -> None:
        """See `Board.flush`."""


class TensorBoard:
    """Event files in a run's folder: `tensorboard --logdir runs`."""

    def __init__(self, folder: Path, step: int) -> None:
        """Goes on after `step`: what an earlier, killed process wrote beyond it no longer counts."""
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(folder, purge_step=step + 1)

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """See `Board.add`."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def flush(self) -> None:
        """See `Board.flush`."""
        self._writer.flush()


def open_board(folder: Path, step: int) -> Board:
    """TensorBoard, or a line that says how to have it."""
    try:
        return TensorBoard(folder, step)
    except ImportError:
        print("no TensorBoard here (pip install tensorboard); losses stand in facts.json")
        return NoBoard()
