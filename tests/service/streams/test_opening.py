"""Files that hang: nobody waits for them, and nothing else does."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from service.streams import opening
from tests.service.auth.keyed import code_of
from tests.service.conftest import RunningService

SCENE = "synthetic://?people=1&width=320&height=192&fps=5"


@pytest.fixture
def media_with_pipes(tmp_path: Path) -> Path:
    (tmp_path / "folder" / "img1").mkdir(parents=True)
    os.mkfifo(tmp_path / "pipe.mp4")
    os.mkfifo(tmp_path / "folder" / "seqinfo.ini")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "pipe.mp4")
    (tmp_path / "device.mp4").symlink_to("/dev/zero")
    return tmp_path


def _post_in_vain(service: RunningService) -> None:
    with service.http as http, suppress(httpx.TransportError):
        http.post("/streams", json={"url": "folder"})


def test_pipes_and_devices_are_no_files(start_service: Callable[..., RunningService], media_with_pipes: Path) -> None:
    with start_service(media_dir=media_with_pipes).http as http:
        for name in ("pipe.mp4", "link.mp4", "device.mp4", "folder/seqinfo.ini"):
            began = time.monotonic()
            assert code_of(http.post("/streams", json={"url": name})) == (422, "path_not_allowed")
            assert time.monotonic() - began < 5


def test_file_that_hangs_stops_neither_changes_nor_the_end(
    start_service: Callable[..., RunningService], media_with_pipes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "PATIENCE_S", 3.0)
    service = start_service(media_dir=media_with_pipes)
    answers: list[Any] = []
    with service.http as http, service.http as other:
        http.post("/streams", json={"id": "scene", "url": SCENE})
        hanging = [
            Thread(target=lambda: answers.append(other.post("/streams", json={"url": "folder"}))),
            Thread(target=lambda: answers.append(other.patch("/streams/scene", json={"url": "folder"}))),
        ]
        for one in hanging:
            one.start()
        time.sleep(0.5)
        began = time.monotonic()
        assert http.patch("/streams/scene", json={"k": 9}).status_code == 200
        assert http.post("/streams", json={"id": "more", "url": SCENE}).status_code == 201
        assert http.delete("/streams/more").status_code == 204
        assert time.monotonic() - began < 2.5
        for one in hanging:
            one.join(20)
        assert [code_of(one) for one in answers] == [(422, "file_hangs")] * 2
        assert http.get("/streams/scene").json()["k"] == 9
        waiting = [Thread(target=_post_in_vain, args=(service,), daemon=True) for _ in range(3)]
        for one in waiting:
            one.start()
        time.sleep(0.3)
    began = time.monotonic()
    service.stop()
    assert time.monotonic() - began < 15
    for one in waiting:
        one.join(20)
    for _ in range(8):  # let those go that wait for a writer
        try:
            os.close(os.open(media_with_pipes / "folder" / "seqinfo.ini", os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            break
        time.sleep(0.1)
