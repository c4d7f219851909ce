"""A teacher with a larger input than its student's: boxes mean the same, and the prior is in the student's cells."""

import numpy as np
import pytest

from edge.ops.host import HostOps
from edge.pipeline.backend import Backend
from edge.pipeline.config import LaneSettings, PipelineSettings
from edge.pipeline.pipeline import TrackingPipeline
from edge.sources.base import Frame
from engines.host import HostDevice
from tests.support.day import SIGNATURES, Day, assert_same, on_host, see
from tests.support.recording_device import RecordingDevice, RecordingEngine, RecordingOps
from tests.support.scripted_engine import Arrays, ScriptedEngine
from tests.support.tiny_pair import signature

FPS = 10.0


class Street:
    """One person who walks to the right through a picture of 1280x768, as two networks of different sizes see it."""

    def __init__(self, teacher: tuple[int, int], student: tuple[int, int]) -> None:
        self.x = 200.0
        self.priors: list[np.ndarray] = []
        engines = (
            ScriptedEngine(signature("teacher", teacher), self._see),
            ScriptedEngine(signature("student", student, prior=True), self._see),
        )
        self.backend = Backend(HostDevice(), HostOps(), *engines)

    def _see(self, inputs: Arrays, outputs: Arrays) -> None:
        scale = inputs["image"].shape[2] / 1280
        box = np.array([self.x - 40, 300, self.x + 40, 500]) * scale
        outputs["scores"][0] = 0.9
        outputs["boxes"][0] = box
        outputs["points"][0] = self.x * scale / 4, 400 * scale / 4
        outputs["embeddings"][0] = 1, 0, 0
        if "heatmap" in outputs:
            outputs["heatmap"][0][tuple((outputs["points"][0][::-1]).astype(int))] = 0.7
        else:
            self.priors.append(inputs["prior"][0].copy())


@pytest.mark.parametrize("sizes", [((640, 384), (320, 192)), ((320, 192), (640, 384)), ((960, 576), (320, 192))])
def test_the_prior_follows_the_person_in_the_students_cells(sizes: tuple[tuple[int, int], tuple[int, int]]) -> None:
    street = Street(*sizes)
    pipeline = TrackingPipeline(street.backend, PipelineSettings(LaneSettings(4)))
    pipeline.add_lane("a")
    for index in range(12):
        street.x = 200 + 8 * index
        frame = Frame(np.zeros((768, 1280, 3), np.uint8), index, index / FPS, 0.0, "media")
        (tracked,) = pipeline.collect(pipeline.submit({"a": frame}))
        assert tracked.tracks.ids.tolist() == [1]
        assert tracked.tracks.xyxy[0] == pytest.approx([street.x - 40, 300, street.x + 40, 500], abs=8)
        if tracked.kind == "student" and index > 4:  # when the speed is known
            prior, scale = street.priors[-1], sizes[1][0] / 1280 / 4
            assert prior.shape == (sizes[1][1] // 4, sizes[1][0] // 4)
            peaks = np.argwhere(prior == np.float32(0.7)) + 0.5
            coarsest = max(1.0, sizes[1][0] / sizes[0][0])  # of the teacher's cells, in the student's
            assert len(peaks)
            assert np.abs(peaks - np.array([400, street.x]) * scale).max() <= 1.5 * coarsest


def test_two_ticks_in_flight_give_what_the_host_gives_one_by_one() -> None:
    signatures = SIGNATURES | {"teacher": signature("teacher", (128, 96))}
    for seed in range(3):
        device, plan = RecordingDevice(seed), Day(seed)
        engines = {name: RecordingEngine(s, see, device) for name, s in signatures.items()}
        assert_same(plan.through(Backend(device, RecordingOps(), **engines)), plan.through(on_host(signatures)))
