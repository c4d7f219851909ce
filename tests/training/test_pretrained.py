"""The port of person-detection-0303 against a reference of its own: features, pyramid and answers are the same.

Group norms are averaged over one picture here, the one that is looked at: there they are what they are in the detector.
"""

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch

from edge.tracking.boxes import iou_matrix
from training.models.decode import decode
from training.models.pyramid import LEVELS, PyramidTeacher
from training.pretrained import begin, pyramid_of, record_of
from training.weights import network_from

DATA = Path(os.environ.get("ATTTRACK_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
MODELS = DATA.parent / "models"
NPZ, CODE = MODELS / "person-detection-0303-folded.npz", MODELS / "reference_0303.py"
SIZE = (416, 256)

pytestmark = pytest.mark.skipif(
    not (NPZ.exists() and CODE.exists()),
    reason=f"no {NPZ.name} and {CODE.name} in {MODELS}",
)


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference_0303", CODE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def picture() -> torch.Tensor:
    """(1, 3, 256, 416) RGB in 0..1 with people in it."""
    video = cv2.VideoCapture(str(DATA / "sequences" / "PETS09-S2L1" / "video.mp4"))
    read, bgr = video.read()
    video.release()
    if not read:
        pytest.skip(f"no PETS09-S2L1 in {DATA / 'sequences'}")
    resized = cv2.resize(bgr, SIZE, interpolation=cv2.INTER_AREA)
    return torch.from_numpy(np.ascontiguousarray(resized[..., ::-1].transpose(2, 0, 1))).float()[None] / 255


@pytest.fixture(scope="module")
def network(picture: torch.Tensor) -> PyramidTeacher:
    with np.load(NPZ) as file:
        return begin({name: file[name] for name in file.files}, [picture])


@torch.inference_mode()
def test_features_pyramid_and_answers_are_those_of_the_reference(
    network: PyramidTeacher, reference: ModuleType, picture: torch.Tensor
) -> None:
    detector = reference.load(NPZ)
    bgr = picture.flip(1) * 255
    theirs = detector.features(bgr)
    for ours, stride in zip(network.backbone(picture), (4, 8, 16, 32), strict=True):
        torch.testing.assert_close(ours, theirs[stride], rtol=1e-3, atol=2e-3)
    for place, (ours, expected) in enumerate(zip(pyramid_of(network, picture), detector.fpn(theirs), strict=False)):
        torch.testing.assert_close(ours, expected, rtol=1e-3, atol=2e-3)
        stride = LEVELS[place]
        who, where, answers = network.levels[place](ours, stride)
        torch.testing.assert_close(who, detector.cls_tower(expected), rtol=1e-2, atol=5e-3)
        torch.testing.assert_close(where, detector.reg_tower(expected), rtol=1e-2, atol=5e-3)
        tower = detector.reg_tower(expected)
        boxes = torch.nn.functional.conv2d(tower, *detector.level_reg[place], padding=1)
        score = detector.cls(detector.cls_tower(expected))[:, :1].sigmoid() * detector.ctr(tower).sigmoid()
        torch.testing.assert_close(answers[:, :1].sigmoid(), score, rtol=0, atol=1e-3)
        found, _ = detector.decode([(detector.cls(tower), boxes, detector.ctr(tower))], stride=(stride,))
        rows, columns = boxes.shape[2:]
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        corner = torch.stack((x, y), 0).repeat(2, 1, 1) * stride
        sides = answers[0, 1:] * torch.tensor([-1.0, -1, 1, 1])[:, None, None] * 4 + corner
        torch.testing.assert_close(sides.permute(1, 2, 0).reshape(-1, 4), found, rtol=1e-3, atol=0.3)


@torch.inference_mode()
def test_an_untrained_pyramid_answers_as_the_detector(
    network: PyramidTeacher, reference: ModuleType, picture: torch.Tensor
) -> None:
    detector = reference.load(NPZ)
    boxes, scores = detector.decode(detector(picture.flip(1) * 255))
    sure = scores > 0.5
    assert sure.any(), "the picture shows nobody to compare"
    found = decode(network(picture), 100)
    best = iou_matrix(boxes[sure].numpy(), found.boxes[0].numpy())
    assert (best.max(1) > 0.8).all()
    of_best = found.scores[0][torch.from_numpy(best.argmax(1))]
    assert (of_best > scores[sure] - 0.15).all()
    loud = found.scores[0] > 0.5
    assert (iou_matrix(found.boxes[0][loud].numpy(), boxes[scores > 0.3].numpy()).max(1) > 0.7).all()


def test_what_is_saved_is_read_as_the_same_network(network: PyramidTeacher) -> None:
    again = network_from(record_of(network))
    torch.testing.assert_close(again.state_dict(), network.state_dict(), rtol=0, atol=0)
