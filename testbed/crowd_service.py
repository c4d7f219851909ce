"""The service with a crowd for networks: for measuring and testing what comes after a frame's tracks.

python -m testbed.crowd_service --port 8000
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edge.ops.pixels import Pixels
from edge.pipeline.config import LaneSettings, Mode
from edge.pipeline.pipeline import TrackedFrame
from edge.pipeline.timings import StageTimes
from edge.sources.base import Frame
from edge.tracking.detections import Tracks, TrackState
from engines.engine import Engine
from engines.errors import ModelFileError
from service.app import create_app
from service.configuration import read_settings
from service.logs import configure_logs
from service.runtime import Runtime
from service.server import DrainingServer, server_config

PEOPLE = 50


class CrowdPipeline:
    """Implements `service.streams.worker.Pipeline` without networks: the same people walk on in every frame."""

    modes: tuple[Mode, ...] = ("atttrack",)
    classes: tuple[str, ...] = ("person",)
    depth = 1

    def __init__(self, people: int) -> None:
        self.times = StageTimes()
        rng = np.random.default_rng(0)
        self._corners = rng.uniform(0, 1000, (people, 2)).astype(np.float32)
        self._velocities = rng.normal(0, 50, (people, 2)).astype(np.float32)

    def upload(self, pixels: Pixels) -> Pixels:
        """There is no other place."""
        return pixels

    def open_student(self, path: Path) -> Engine:
        """Nobody learns here."""
        raise ModelFileError(f"{path} is of no use: there are no networks here")

    def set_student(self, lane_id: str, engine: Engine | None) -> None: ...
    def add_lane(self, lane_id: str, settings: LaneSettings) -> None: ...
    def change_lane(self, lane_id: str, settings: LaneSettings) -> None: ...
    def remove_lane(self, lane_id: str) -> None: ...

    def submit(self, frames: Mapping[str, Frame], budget_ms: float | None = None) -> Mapping[str, Frame]:
        """Nothing is computed."""
        return frames

    def collect(self, in_flight: Mapping[str, Frame]) -> list[TrackedFrame]:
        """Everybody, one step on."""
        self._corners += self._velocities / 25
        people = len(self._corners)
        tracks = Tracks(
            ids=np.arange(1, people + 1),
            xyxy=np.concatenate((self._corners, self._corners + np.array((40, 110), np.float32)), axis=1),
            scores=np.full(people, 0.8125, np.float32),
            states=np.full(people, TrackState.CONFIRMED, np.uint8),
            velocities=self._velocities,
            ages_s=np.full(people, 12.345, np.float32),
            unseen_s=np.zeros(people, np.float32),
            detection=np.arange(people, dtype=np.int32),
        )
        return [TrackedFrame(lane_id, frame, tracks, "student", 2) for lane_id, frame in in_flight.items()]

    def settle(self) -> None:
        """Nobody answers late."""


def serve(arguments: list[str]) -> None:
    """Be the service, with a crowd for networks."""
    settings = read_settings(arguments)
    configure_logs(settings.log_level, settings.log_format)
    runtime = Runtime(settings, lambda _: CrowdPipeline(PEOPLE))
    app = create_app(settings, runtime)
    config = server_config(app, settings)
    DrainingServer(config, runtime).run()


if __name__ == "__main__":
    serve(sys.argv[1:])
