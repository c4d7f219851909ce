"""Decoding finds exactly the peaks that were put into the maps."""

import pytest
import torch

from training.models.decode import decode, gather_cells, unit


def empty_maps(height: int = 8, width: int = 12) -> dict[str, torch.Tensor]:
    return {
        "hm": torch.full((1, 1, height, width), -9.0),
        "id": torch.zeros(1, 3, height, width),
        "reg": torch.zeros(1, 2, height, width),
        "wh": torch.zeros(1, 4, height, width),
    }


def test_a_flat_map_gives_only_worthless_scores() -> None:
    assert decode(empty_maps(), 5).scores.max() < 1e-3


def test_a_peak_becomes_an_object_in_cells_and_input_pixels() -> None:
    maps = empty_maps()
    maps["hm"][0, 0, 3, 5] = 2.0
    maps["hm"][0, 0, 3, 6] = 1.0  # a shoulder, not a peak
    maps["reg"][0, :, 3, 5] = torch.tensor([0.25, 0.5])
    maps["wh"][0, :, 3, 5] = torch.tensor([1.0, 2.0, 3.0, 4.0])
    maps["id"][0, :, 3, 5] = torch.tensor([0.0, 3.0, 4.0])
    out = decode(maps, 2)
    assert out.scores[0, 0].item() == pytest.approx(torch.sigmoid(torch.tensor(2.0)).item())
    assert out.scores[0, 1] < 0.5
    assert out.points[0, 0].tolist() == [5.25, 3.5]
    assert out.boxes[0, 0].tolist() == [17.0, 6.0, 33.0, 30.0]
    assert out.embeddings[0, 0].tolist() == pytest.approx([0, 0.6, 0.8])


def test_objects_come_best_first() -> None:
    maps = empty_maps()
    for column, logit in ((1, 0.5), (5, 2.0), (9, 1.0)):
        maps["hm"][0, 0, 4, column] = logit
    assert decode(maps, 3).points[0, :, 0].tolist() == [5, 9, 1]


def test_gathering_is_row_major() -> None:
    feature = torch.arange(24.0).reshape(1, 2, 3, 4)
    assert gather_cells(feature, torch.tensor([[6]])).tolist() == [[[6.0, 18.0]]]


def test_a_zero_embedding_stays_finite() -> None:
    assert torch.isfinite(unit(torch.zeros(1, 4))).all()
