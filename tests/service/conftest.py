"""A real service on a free port with the tiny pair, and real cameras for it."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from service.app import build_pipeline, create_app
from service.runtime import Runtime
from service.server import DrainingServer, server_config
from service.settings import Settings
from testbed.clips import read_clip, write_clip
from testbed.rtsp_server import RtspServer
from tests.service.waiting import wait_until
from tests.support.drawn import Drawn
from tests.support.tiny_pair import write_tiny_pair

SIZE = (320, 192)
SCENE = Drawn(starts=((120, 120), (320, 250), (500, 150)), velocities=((25, 10), (-20, -8), (10, 30)), frame_rate=15)
"""Three walkers who keep apart for four seconds."""
CLIP_FRAMES = 60
KEY = {"username": "viewer", "password": "correct horse"}
"""Of the locked camera."""


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_tiny_pair(folder, SIZE)
    return folder


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a clip of `SCENE` and a file that is no video."""
    folder = tmp_path_factory.mktemp("media")
    write_clip(folder / "walk.mp4", (SCENE.frame(i).image for i in range(CLIP_FRAMES)), SCENE.frame_rate)
    (folder / "notes.mp4").write_text("this is no video")
    return folder


@pytest.fixture(scope="session")
def camera(media: Path) -> Iterator[RtspServer]:
    """A camera that loops the clip."""
    with RtspServer({"camera": read_clip(media / "walk.mp4")}) as server:
        yield server


@pytest.fixture(scope="session")
def locked_camera(media: Path) -> Iterator[RtspServer]:
    """The same behind a user name and a password."""
    clips = {"camera": read_clip(media / "walk.mp4")}
    with RtspServer(clips, username="viewer", password=KEY["password"]) as server:
        yield server


@dataclass
class RunningService:
    """A service in a thread of this process."""

    server: uvicorn.Server
    runtime: Runtime
    thread: threading.Thread
    port: int

    @property
    def http(self) -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=20)

    def ws_url(self, stream_id: str) -> str:
        return f"ws://127.0.0.1:{self.port}/streams/{stream_id}/tracks"

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(20)
        assert not self.thread.is_alive(), "the service did not stop"


def run_service(settings: Settings) -> RunningService:
    """Start a service and wait until it takes streams."""
    runtime = Runtime(settings, lambda progress: build_pipeline(settings, progress))
    config = server_config(create_app(settings, runtime), settings)
    config.port = 0
    server = DrainingServer(config, runtime)
    started = threading.Event()
    startup = server.startup

    async def announce(*arguments: Any, **named: Any) -> None:
        await startup(*arguments, **named)
        started.set()

    server.startup = announce  # type: ignore[method-assign]
    thread = threading.Thread(target=server.run, name="service")
    thread.start()
    assert started.wait(30), "the service did not start"
    wait_until(lambda: runtime.readiness.started, 30, "the networks to load")
    return RunningService(server, runtime, thread, server.servers[0].sockets[0].getsockname()[1])


@pytest.fixture
def start_service(
    models: Path, media: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., RunningService]]:
    """Start services of one's own settings, each with an empty state folder; they stop with the test."""
    running: list[RunningService] = []

    def start(**settings: Any) -> RunningService:
        defaults: dict[str, Any] = {
            "models": models,
            "pair": "tiny",
            "size": "320x192",
            "media_dir": media,
            "device": "cpu",
            "allow_loopback": True,
            "state_dir": tmp_path_factory.mktemp("state"),
        }
        running.append(run_service(Settings(**defaults | settings)))
        return running[-1]

    yield start
    for service in running:
        service.stop()


@pytest.fixture(scope="module")
def service(models: Path, media: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """One service for all tests of a file; each removes the streams that it adds."""
    settings = Settings(
        models=models,
        pair="tiny",
        size="320x192",
        media_dir=media,
        device="cpu",
        allow_loopback=True,
        k=4,
        max_streams=4,
        state_dir=tmp_path_factory.mktemp("state"),
    )
    running = run_service(settings)
    yield running
    running.stop()


@pytest.fixture
def client(service: RunningService) -> Iterator[httpx.Client]:
    """HTTP to `service`; removes all streams afterwards."""
    with service.http as http:
        yield http
        for stream in http.get("/streams").json()["streams"]:
            http.delete(f"/streams/{stream['id']}")
