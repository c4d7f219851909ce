"""Starting a decoder on a system that has nothing left to give."""

import errno
import os
import socket
from typing import Any, NoReturn

import pytest

from edge.sources.base import SourceError
from edge.sources.decoder.messages import Job, Pinned
from edge.sources.decoder.process import DecoderProcess, DecoderServer
from edge.sources.rtsp.camera_url import CameraUrl
from edge.sources.settings import SourceSettings

JOB = Job(CameraUrl.parse("rtsp://viewer:secret@192.0.2.1/live"), SourceSettings(resolve=Pinned(("192.0.2.1",))))


def open_files() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize(("owner", "function"), [(os, "memfd_create"), (socket, "socketpair"), (socket, "send_fds")])
def test_decoder_that_cannot_be_started_is_a_reason_to_try_again(
    owner: Any, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise OSError(errno.EMFILE, "Too many open files")

    before = open_files()
    with DecoderServer() as server:
        monkeypatch.setattr(owner, function, refuse)
        with pytest.raises(SourceError, match="Too many open files") as failed:
            DecoderProcess(JOB, server)
        monkeypatch.undo()
    assert failed.value.code == "decoder_crashed"
    assert "secret" not in str(failed.value)
    assert open_files() == before
