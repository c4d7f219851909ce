"""Curves for those who have TensorBoard, a line for those who do not."""

import sys
from pathlib import Path

import pytest

from training.board import NoBoard, open_board


def test_without_tensorboard_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    board = open_board(tmp_path, 0)
    board.add(1, {"total": 2.0})
    board.flush()
    assert isinstance(board, NoBoard)
    assert capsys.readouterr().out.count("\n") == 1
    assert not any(tmp_path.iterdir())


def test_a_run_that_goes_on_shows_one_curve(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    first = open_board(tmp_path, 0)
    for step in (1, 2, 3):
        first.add(step, {"total": 10.0 * step})
    first.flush()
    second = open_board(tmp_path, 1)  # the process was killed; its last checkpoint was of step 1
    for step in (2, 3):
        second.add(step, {"total": 10.0 * step + 1})
    second.flush()
    events = accumulator.EventAccumulator(str(tmp_path)).Reload()
    assert [(event.step, event.value) for event in events.Scalars("total")] == [(1, 10), (2, 21), (3, 31)]
