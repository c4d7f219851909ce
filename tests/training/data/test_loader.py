"""The loader that works on the device gives the numbers of the plain one: here both run on the CPU."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from training.data.device_loader import DeviceLoader

from training.data.labelled import LabelledImage
from training.data.loader import HostLoader, open_loader
from training.data.samples import InPhases, Pairs, Samples, Views
from training.targets import UNKNOWN

CPU = torch.device("cpu")
INPUT_WH = (192, 128)
SCALE, ZOOM = (0.4, 1.3), 2.5
EXACT = ("cells", "ids", "mask", "ignore", "key_count", "gap")
CLOSE = ("heatmap", "offsets", "sides", "key_xyxy", "key_velocity")


def crowd(folder: Path, frames: int, size_wh: tuple[int, int], sequence: str) -> list[LabelledImage]:
    """A smooth coloured picture per frame with persons who walk, some of them over the edge."""
    rng = np.random.default_rng(len(sequence))
    width, height = size_wh
    ground = cv2.resize(rng.integers(0, 255, (9, 12, 3), np.uint8), size_wh, interpolation=cv2.INTER_CUBIC)
    start = rng.uniform((-20, -20), (width, height), (30, 2))
    sides = rng.uniform((0.5, 2), (width / 4, height / 2), (30, 2))
    pace = rng.normal(0, 2, (30, 2))
    images = []
    for number in range(1, frames + 1):
        path = folder / f"{sequence}-{number}.png"
        cv2.imwrite(str(path), np.roll(ground, number, 1))
        left_top = start + number * pace
        xyxy = np.concatenate((left_top, left_top + sides), 1).astype(np.float32)
        ids = np.arange(30) + 100 if sequence else np.full(30, UNKNOWN)
        images.append(LabelledImage(path, xyxy[3:], ids[3:], xyxy[: number % 3], sequence, number if sequence else 0))
    return images


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[LabelledImage]:
    folder = tmp_path_factory.mktemp("crowd")
    empty = np.zeros((0, 4), np.float32)
    cv2.imwrite(str(folder / "empty.png"), np.full((90, 70, 3), 60, np.uint8))
    nobody = LabelledImage(folder / "empty.png", empty, np.zeros(0, np.int64), empty)
    return [
        *crowd(folder, 8, (640, 360), "a"),
        *crowd(folder, 8, (150, 170), "bb"),
        *crowd(folder, 4, (333, 222), ""),
        nobody,
    ]


def views(images: list[LabelledImage], length: int = 40, seed: int = 5) -> Views:
    return Views(images, np.ones(len(images)), INPUT_WH, length, seed, SCALE, ZOOM)


def pairs(images: list[LabelledImage]) -> Pairs:
    return Pairs([image for image in images if image.sequence], INPUT_WH, 40, 6, SCALE, ZOOM, max_gap=4)


def both(samples: Samples, wanted: list[range]) -> list[tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]]:
    plain = HostLoader(samples).batches(wanted)
    device = DeviceLoader(samples, CPU).batches(wanted)
    return list(zip(plain, device, strict=True))


def test_nothing_wanted_gives_no_batch(images: list[LabelledImage]) -> None:
    assert both(views(images), []) == []


@pytest.mark.parametrize("kind", [views, pairs])
def test_both_loaders_give_the_same_targets(kind, images: list[LabelledImage]) -> None:
    for plain, device in both(kind(images), [range(12), range(12, 17), range(17, 30)]):
        assert list(plain) == list(device)
        for name, expected in plain.items():
            assert device[name].shape == expected.shape
            assert device[name].dtype == expected.dtype
        for name in EXACT:
            if name in plain:
                torch.testing.assert_close(device[name], plain[name], rtol=0, atol=0, msg=name)
        for name in CLOSE:
            if name in plain:
                torch.testing.assert_close(device[name], plain[name], rtol=1e-5, atol=2e-5)
        assert torch.equal(device["heatmap"] == 1, plain["heatmap"] == 1)


@pytest.mark.parametrize("kind", [views, pairs])
def test_both_loaders_give_the_same_pixels_to_a_few_grey_levels(kind, images: list[LabelledImage]) -> None:
    for plain, device in both(kind(images), [range(10), range(10, 20)]):
        for name in ("image", "key_image"):
            if name in plain:
                apart = (plain[name].int() - device[name].int()).abs().flatten()
                assert apart.float().mean() < 0.4
                assert (apart > 6).float().mean() < 0.001  # where hue, in steps of two degrees, tips over
                assert apart.max() <= 16


def test_a_batch_does_not_depend_on_what_came_before(images: list[LabelledImage]) -> None:
    samples = pairs(images)
    straight = list(DeviceLoader(samples, CPU).batches([range(3), range(3, 6)]))[1]
    resumed = next(DeviceLoader(samples, CPU).batches([range(3, 6)]))
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)


def test_a_sample_does_not_depend_on_its_batch(images: list[LabelledImage]) -> None:
    loader = DeviceLoader(views(images), CPU)
    together, alone = next(loader.batches([range(8)])), next(loader.batches([range(5, 6)]))
    assert (together["image"][5].int() - alone["image"][0].int()).abs().max() <= 1
    torch.testing.assert_close(together["heatmap"][5], alone["heatmap"][0])


def test_phases_are_rendered_alike(images: list[LabelledImage]) -> None:
    phases = InPhases([views(images, 3), views(images, 5, seed=9)])
    for plain, device in both(phases, [range(2, 5)]):
        assert torch.equal(plain["cells"], device["cells"])
        assert (plain["image"].int() - device["image"].int()).abs().float().mean() < 0.4


def test_every_picture_is_read_once(tmp_path: Path) -> None:
    pictures = crowd(tmp_path, 2, (64, 48), "once")
    loader = DeviceLoader(views(pictures), CPU)
    list(loader.batches([range(8)]))
    for picture in pictures:
        picture.path.unlink()
    assert next(loader.batches([range(8, 16)]))["image"].shape == (8, 3, 128, 192)


def test_a_picture_that_is_missing_is_named(tmp_path: Path) -> None:
    pictures = crowd(tmp_path, 1, (64, 48), "gone")
    pictures[0].path.unlink()
    with pytest.raises(OSError, match=r"gone-1\.png"):
        next(DeviceLoader(views(pictures), CPU).batches([range(1)]))


def test_the_cpu_gets_the_plain_loader_and_any_other_device_the_one_that_keeps_frames(
    images: list[LabelledImage],
) -> None:
    assert isinstance(open_loader(views(images), CPU), HostLoader)
    assert isinstance(open_loader(views(images), torch.device("meta")), DeviceLoader)


@pytest.mark.parametrize("kind", [views, pairs])
def test_all_work_and_all_results_are_on_the_device(kind, images: list[LabelledImage]) -> None:
    meta = torch.device("meta")  # computes shapes only, and refuses to be mixed with the host's tensors
    plain = next(DeviceLoader(kind(images), CPU).batches([range(5)]))
    batch = next(DeviceLoader(kind(images), meta).batches([range(5)]))
    assert {tensor.device for tensor in batch.values()} == {meta}
    assert {name: (t.shape, t.dtype) for name, t in batch.items()} == {
        name: (t.shape, t.dtype) for name, t in plain.items()
    }
