"""Fog: what it leaves of a picture, and that it is a function of seed and sample alone."""

import pytest
import torch
from torch import Tensor

from training.fog import DETAIL, fogged


def board(count: int = 4) -> Tensor:
    """(B, 3, 128, 192) black and white columns, one pixel wide: nothing but detail."""
    columns = torch.arange(192) % 2
    return columns.expand(count, 3, 128, 192).float()


def test_no_pictures_stay_none() -> None:
    assert fogged(torch.zeros((0, 3, 64, 64)), 1.0, 1, []).shape == (0, 3, 64, 64)


def test_a_share_of_zero_changes_nothing_and_the_picture_given_is_never_touched() -> None:
    image = board()
    assert torch.equal(fogged(image, 0.0, 1, range(4)), image)
    fogged(image, 1.0, 1, range(4))
    assert torch.equal(image, board())


def test_about_the_share_of_the_pictures_is_in_fog() -> None:
    image = board(1).expand(200, 3, 128, 192)[:, :, :64, :64]
    changed = (fogged(image, 0.3, 5, range(200)) != image).flatten(1).any(1)
    assert 40 < int(changed.sum()) < 80


def test_fog_takes_detail_in_some_places_and_leaves_it_in_others() -> None:
    foggy = fogged(board(12), 1.0, 3, range(12))
    assert foggy.min() >= 0 and foggy.max() <= 1
    left = (foggy[..., 1::2] - foggy[..., ::2]).mean(1)  # contrast of neighbours, place by place
    left = torch.nn.functional.avg_pool2d(left[:, None], (DETAIL, DETAIL // 2))
    assert left.min() < 0.2 and left.max() > 0.6


def test_a_picture_of_one_colour_only_loses_light() -> None:
    grey = torch.full((6, 3, 64, 64), 0.5)
    foggy = fogged(grey, 1.0, 2, range(6)).mean((1, 2, 3))
    assert ((foggy > 0.1) & (foggy < 0.51)).all() and foggy.max() > 0.49 > foggy.min()


@pytest.mark.parametrize("chosen", [[0], [3], [1, 2]])
def test_a_samples_fog_does_not_depend_on_its_batch(chosen: list[int]) -> None:
    whole = fogged(board(), 0.7, 9, range(4))
    assert torch.equal(fogged(board(len(chosen)), 0.7, 9, chosen), whole[chosen])
    assert not torch.equal(fogged(board(), 0.7, 10, range(4)), whole)
