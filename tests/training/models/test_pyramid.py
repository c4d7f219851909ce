"""The pyramid pair's parts against sums done by hand, and what the rest relies on: priors, folding, decoding."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support.trained_network import as_if_trained
from training.models.decode import at_width, decode
from training.models.folded import Folded
from training.models.heads import with_prior, without_prior
from training.models.pyramid import PyramidStudent, PyramidTeacher, both, centred, doubled, surer

LOGIT = st.floats(-30, 30)


@given(LOGIT, LOGIT)
def test_both_is_the_logit_of_the_product_of_two_likelihoods(a: float, b: float) -> None:
    p, q = (torch.sigmoid(torch.tensor(x, dtype=torch.float64)) for x in (a, b))
    found = both(torch.tensor(a, dtype=torch.float64), torch.tensor(b, dtype=torch.float64))
    torch.testing.assert_close(torch.sigmoid(found), p * q, rtol=1e-9, atol=0)


def test_both_is_finite_wherever_its_inputs_are() -> None:
    ends = torch.tensor([-200.0, -88.0, 0.0, 88.0, 200.0])
    assert both(ends[:, None], ends).isfinite().all()


def test_doubled_keeps_every_cell_and_puts_means_between() -> None:
    x = torch.tensor([[[[0.0, 2.0], [4.0, 8.0]]]])
    expected = [[0, 1, 2, 2], [2, 3.5, 5, 5], [4, 6, 8, 8], [4, 6, 8, 8]]
    assert doubled(x)[0, 0].tolist() == expected


def test_of_two_levels_the_surer_one_says_where_the_box_is() -> None:
    fine, coarse = torch.zeros(1, 5, 1, 2), torch.ones(1, 5, 1, 2)
    fine[:, 0], coarse[:, 0] = torch.tensor([10.0, -10.0]), torch.tensor([0.0, 0.0])
    found = surer(fine, coarse)
    assert found[0, 0, 0].tolist() == [10.0, 0.0]
    torch.testing.assert_close(found[0, 1, 0], torch.tensor([0.0, 1.0]))
    alike = surer(fine * 0, coarse * torch.tensor([0.0, 1, 1, 1, 1])[:, None, None])
    torch.testing.assert_close(alike[0, 1:], torch.full((4, 1, 2), 0.5))


def test_centred_sides_are_the_same_box() -> None:
    sides = torch.tensor([1.0, 2.0, 5.0, 10.0]).reshape(1, 4, 1, 1)  # from a corner at 0, 0: -1, -2, 5, 10
    maps = centred(sides)
    assert maps["reg"].flatten().tolist() == [2, 4]
    assert maps["wh"].flatten().tolist() == [3, 6, 3, 6]


@pytest.mark.parametrize("prior", [False, True])
def test_maps_have_strides_4_and_8(prior: bool) -> None:
    network = PyramidStudent(prior) if prior else PyramidTeacher()
    maps = network(torch.rand(1, 3, 64, 96), torch.rand(1, 1, 16, 24) if prior else None)
    shapes = {name: tuple(value.shape[1:]) for name, value in maps.items()}
    assert shapes == {"hm": (1, 16, 24), "reg": (2, 16, 24), "wh": (4, 16, 24), "id": (128, 8, 12)}


def test_embeddings_of_a_coarser_map_are_those_of_the_cell_that_covers_a_peak() -> None:
    assert at_width(torch.tensor([0, 1, 24, 25, 26, 16 * 24 - 1]), 24, 12).tolist() == [0, 0, 0, 0, 1, 8 * 12 - 1]
    maps = {
        "hm": torch.full((1, 1, 8, 12), -9.0),
        "reg": torch.full((1, 2, 8, 12), 0.5),
        "wh": torch.ones(1, 4, 8, 12),
        "id": torch.arange(24.0).reshape(1, 1, 4, 6) - 11.5,
    }
    maps["id"] = torch.cat((maps["id"], torch.ones(1, 1, 4, 6)), 1)
    maps["hm"][0, 0, 5, 7] = 3.0
    found = decode(maps, 1)
    assert found.points[0, 0].tolist() == [7.5, 5.5]
    expected = torch.tensor([2 * 6 + 3 - 11.5, 1.0])
    torch.testing.assert_close(found.embeddings[0, 0], expected / expected.norm())


def test_a_prior_that_begins_at_zero_changes_nothing() -> None:
    plain = as_if_trained(PyramidStudent())
    image = torch.rand(1, 3, 64, 96)
    grown = with_prior(plain).eval()
    with torch.inference_mode():
        before, after = plain(image), grown(image, torch.rand(1, 1, 16, 24))
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, rtol=0, atol=0, msg=name)
    assert not grown.early.weight.any() and not grown.sharpen.before.weight.any()


def test_a_student_blind_to_its_prior_answers_as_to_a_prior_of_zeros() -> None:
    student = as_if_trained(PyramidStudent(prior=True))
    torch.nn.init.normal_(student.early.weight)
    image = torch.rand(1, 3, 64, 96)
    plain = without_prior(student).eval()
    with torch.inference_mode():
        ours, theirs = plain(image), student(image, torch.zeros(1, 1, 16, 24))
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=0, atol=0, msg=name)


@pytest.mark.parametrize("network", [PyramidTeacher(), PyramidStudent(), PyramidStudent(prior=True)], ids=repr)
def test_folding_changes_nothing_but_the_range_of_pixels(network: PyramidTeacher | PyramidStudent) -> None:
    as_if_trained(network)
    pixels = torch.randint(0, 256, (1, 3, 64, 96)).float()
    prior = torch.rand(1, 1, 16, 24) if network.has_prior else None
    with torch.inference_mode():
        ours, folded = network(pixels / 255, prior), Folded(network)(pixels, prior)
    for name, value in ours.items():
        torch.testing.assert_close(folded[name], value, atol=1e-4, rtol=1e-4)


def test_a_student_begins_by_seeing_what_its_teacher_sees_in_the_small_picture() -> None:
    teacher, student = as_if_trained(PyramidTeacher()), PyramidStudent().eval()
    student.begin(teacher)
    image = torch.rand(2, 3, 64, 96)
    small = torch.nn.functional.avg_pool2d(image, 2)
    with torch.inference_mode():
        ours, theirs = student.backbone(image), teacher.backbone(small)
    assert len(ours) == 3, "the deepest level is left out"
    for feature, example in zip(ours, theirs, strict=False):
        torch.testing.assert_close(feature, example, rtol=1e-4, atol=1e-4)


def test_a_student_begins_with_the_boxes_that_its_teacher_finds_in_the_small_picture() -> None:
    teacher, student = as_if_trained(PyramidTeacher()), PyramidStudent().eval()
    teacher.DEPTH = 2  # answers without the level that the student has not
    for parts in (
        teacher.lateral,
        teacher.smooth,
        teacher.levels,
        teacher.refine_score.coarse,
        teacher.refine_sides.coarse,
    ):
        del parts[2]
    del teacher.backbone.blocks[12:]
    student.begin(teacher)
    image = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        ours, theirs = student(image), teacher(torch.nn.functional.avg_pool2d(image, 2))
    even = {name: value[..., ::2, ::2] for name, value in ours.items()}
    torch.testing.assert_close(even["hm"], theirs["hm"], rtol=1e-3, atol=1e-3)
    for name in ("reg", "wh"):  # the small picture's cells are twice as wide
        torch.testing.assert_close(even[name], 2 * theirs[name], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(even["id"], theirs["id"], rtol=1e-3, atol=1e-3)


def test_what_sees_edges_and_colours_is_not_trained_and_nothing_is_trained_twice() -> None:
    network = PyramidTeacher()
    begun, new = network.begun_and_new()
    assert len({id(parameter) for parameter in (*begun, *new)}) == len(begun) + len(new)
    frozen = [name for name, parameter in network.named_parameters() if not parameter.requires_grad]
    assert frozen and all(name.startswith(PyramidTeacher.FROZEN) for name in frozen)
    assert len(begun) + len(new) + len(frozen) == len(list(network.parameters()))
