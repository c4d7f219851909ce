"""Cameras that say something else than they should, for real: sockets, relay, FFmpeg; and a good one beside them."""

import contextlib
import os
import random
import re
import socket
import struct
import threading
from itertools import islice
from pathlib import Path

from edge.sources import SourceError, open_source
from edge.sources.settings import SourceSettings
from testbed.clips import Clip, read_clip
from testbed.rtsp_server import RtspServer, _sdp
from tests.edge.sources.rtsp.test_conversation import TRANSPORT, mutated
from tests.support.source_states import Reader

ROUNDS = int(os.environ.get("ATTTRACK_FUZZ_CAMERAS", "20"))
"""Connections to cameras that were mutated; raise it for a long run: 2000 take about half an hour."""
HASTY = SourceSettings(connect_timeout_s=1.0, stall_timeout_s=0.5)
RUDE = re.compile(r"\w(Error|Exception)\b|Traceback|s3cret|object at 0x")


class MutatedCamera:
    """Answers as a camera does, with one of its answers or its pictures mutated; one viewer after the other."""

    def __init__(self, clip: Clip, rng: random.Random) -> None:
        self._clip, self._rng = clip, rng
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"rtsp://admin:s3cret@127.0.0.1:{self._listener.getsockname()[1]}/live"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                viewer, _ = self._listener.accept()
                with viewer, contextlib.suppress(OSError):
                    viewer.settimeout(3)
                    self._talk(viewer)

    def _talk(self, viewer: socket.socket) -> None:
        wrong, place = self._rng.randrange(6), 0
        while request := viewer.recv(1 << 16):
            for method, number in re.findall(rb"(\w+) rtsp\S* RTSP/1.0\r\nCSeq: (\d+)", request):
                answer = self._answer(method, number)
                viewer.sendall(mutated(answer, self._rng) if place == wrong else answer)
                place += 1
                if method == b"PLAY":
                    media = self._media()
                    viewer.sendall(mutated(media, self._rng) if wrong >= 4 else media)

    def _answer(self, method: bytes, number: bytes) -> bytes:
        body = _sdp(self._clip, "none").encode() if method == b"DESCRIBE" else b""
        more = f"{TRANSPORT}\r\nSession: 1;timeout=60\r\n".encode() if method == b"SETUP" else b""
        return b"RTSP/1.0 200 OK\r\nCSeq: %s\r\n%sContent-Length: %d\r\n\r\n%s" % (number, more, len(body), body)

    def _media(self) -> bytes:
        out, number = [], 0
        for unit in islice(self._clip.units, 15):
            for place, payload in enumerate(unit.payloads):
                last = 0x80 * (place == len(unit.payloads) - 1)
                head = struct.pack(">BBHII", 0x80, 96 | last, number, round(unit.time_s * 90_000), 7)
                out.append(struct.pack(">cBH", b"$", 0, len(head) + len(payload)) + head + payload)
                number += 1
        return b"".join(out)


def test_mutated_cameras_end_in_words_and_cost_their_neighbour_no_frame(
    numbered_clip: Path, camera: RtspServer
) -> None:
    rng, played, told = random.Random(11), 0, set()  # noqa: S311
    with Reader(open_source(camera.url())) as neighbour:
        for _ in range(ROUNDS):
            mutant = MutatedCamera(read_clip(numbered_clip), rng)
            source = open_source(mutant.url, settings=HASTY)
            frames = iter(source)
            try:
                for frame in islice(frames, 5):
                    assert frame.image.size
                played += 1
            except SourceError as error:
                assert not RUDE.search(str(error)), str(error)
                assert error.code != "internal", str(error)
                told.add(error.code)
            finally:
                source.close()
                frames.close()  # type: ignore[attr-defined]
                mutant.close()
            assert not RUDE.search(source.state.message or "")
        indices = [frame.index for frame in neighbour.frames]
    assert indices == list(range(len(indices))) and len(indices) > 25
    assert {frame.session for frame in neighbour.frames} == {0}
    assert played > ROUNDS / 4, "a byte that is wrong is no reason to give up"
