"""Untrained networks under a pair's names: they run, and they pack into next to nothing."""

import lzma
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="no torch here: pip install -e '.[training]'")
pytestmark = pytest.mark.training

from edge.pipeline.backend import open_backend  # noqa: E402
from edge.pipeline.config import PipelineSettings  # noqa: E402
from edge.pipeline.pipeline import TrackingPipeline  # noqa: E402
from edge.sources.base import Frame  # noqa: E402
from export.untrained import PATTERN, QUICK, repeat_weights, write_pair  # noqa: E402


def test_small_weights_stay_and_large_ones_repeat_themselves_as_large_as_they_were() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Linear(200, 300))
    before = [weights.detach().clone() for weights in network.parameters()]
    repeat_weights(network)
    small, _, large, _ = network.parameters()
    assert torch.equal(small, before[0])
    flat = large.detach().flatten()
    assert torch.equal(flat[PATTERN : 2 * PATTERN], flat[:PATTERN])
    assert float(flat.std()) == pytest.approx(float(before[2].std()), rel=0.05)
    assert len(lzma.compress(flat.numpy().tobytes())) < 0.15 * flat.numel() * 4


def test_a_pair_is_written_once_and_tracks_nobody(tmp_path: Path) -> None:
    paths = write_pair(tmp_path, (96, 64), QUICK)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "dla-student-96x64.onnx",
        "dla-student-plain-96x64.onnx",
        "dla-teacher-96x64.onnx",
    ]
    written = [path.stat().st_mtime_ns for path in paths]
    assert write_pair(tmp_path, (96, 64), QUICK) == paths
    assert [path.stat().st_mtime_ns for path in paths] == written
    pipeline = TrackingPipeline(open_backend(tmp_path, (96, 64), "cpu", pair="dla"), PipelineSettings(k=2, max_lanes=1))
    pipeline.add_lane("one")
    picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    kinds = []
    for index in range(3):
        (tracked,) = pipeline.collect(pipeline.submit({"one": Frame(picture, index, index / 30, 0.0, "media")}))
        kinds.append(tracked.kind)
        assert len(tracked.tracks.ids) == 0
    assert kinds == ["teacher", "student", "teacher"]
