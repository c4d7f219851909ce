"""Cameras that say something else than they should, for real: sockets, relay, FFmpeg; and good ones beside them.

    python -m testbed.mutated_cameras --cameras 2000

Each mutated camera serves one connection of a source of its own: one of its replies, its session description or what
it sends for video has bytes turned, cut out, put in or exchanged. Exit code 1 where a text that a user would see is no
text for users, where a fault is said to be this program's, or where a good camera beside them lost a picture.
"""

import argparse
import contextlib
import random
import re
import socket
import struct
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from edge.sources import open_source
from edge.sources.base import SourceError
from edge.sources.settings import SourceSettings
from testbed.clips import Clip, numbered_image, read_clip, write_clip
from testbed.fuzz import mutated
from testbed.rtsp_server import RtspServer, session_description

PICTURES = 15
"""That a mutated camera sends; so many are read of it at most, and fewer where it falls silent."""
HASTY = SourceSettings(connect_timeout_s=3.0, stall_timeout_s=1.0, max_attempts=1)
RUDE = re.compile(r"\w(?:Error|Exception)\b|Traceback|s3cret|object at 0x|errno", re.IGNORECASE)
"""What no text for users has in it."""
TRANSPORT = b"Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1;timeout=60\r\n"
_REQUEST = re.compile(rb"(\w+) rtsp\S* RTSP/1.0\r\nCSeq: (\d+)")


class MutatedCamera:
    """Listens for one viewer, and answers it once as no camera should. A context manager."""

    def __init__(self, clip: Clip, chance: random.Random) -> None:
        self._clip, self._chance = clip, chance
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(10)
        self.url = f"rtsp://admin:s3cret@127.0.0.1:{self._listener.getsockname()[1]}/live"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "MutatedCamera":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self._thread.join(10)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            viewer, _ = self._listener.accept()
            self._listener.close()
            with viewer:
                viewer.settimeout(10)
                self._talk(viewer)

    def _talk(self, viewer: socket.socket) -> None:
        wrong, place, heard = self._chance.randrange(6), 0, b""
        while received := viewer.recv(1 << 16):
            heard += received
            while (request := _REQUEST.search(heard)) and (end := heard.find(b"\r\n\r\n", request.end())) >= 0:
                method, heard = request[1], heard[end + 4 :]
                viewer.sendall(self._maybe(place == wrong, self._answer(method, request[2])))
                place += 1
                if method == b"PLAY":
                    viewer.sendall(self._maybe(wrong >= 4, self._media()))

    def _maybe(self, wrong: bool, text: bytes) -> bytes:
        for _ in range(self._chance.choice((1, 1, 2, 5, 20)) if wrong else 0):
            text = mutated(text, [text], self._chance)
        return text

    def _answer(self, method: bytes, number: bytes) -> bytes:
        body = session_description(self._clip).encode() if method == b"DESCRIBE" else b""
        more = TRANSPORT if method == b"SETUP" else b""
        return b"RTSP/1.0 200 OK\r\nCSeq: %s\r\n%sContent-Length: %d\r\n\r\n%s" % (number, more, len(body), body)

    def _media(self) -> bytes:
        out, number = [], 0
        for unit in islice(self._clip.units, PICTURES):
            for place, payload in enumerate(unit.payloads):
                last = 0x80 * (place == len(unit.payloads) - 1)
                head = struct.pack(">BBHII", 0x80, 96 | last, number, round(unit.time_s * 90_000), 7)
                out.append(struct.pack(">cBH", b"$", 0, len(head) + len(payload)) + head + payload)
                number += 1
        return b"".join(out)


@dataclass
class Report:
    """What became of the connections."""

    told: Counter[str] = field(default_factory=Counter)
    """How often each cause was told; "pictures": there were some."""
    wrong: list[str] = field(default_factory=list)
    """What should not have been, with the number of the connection."""
    neighbours: list[int] = field(default_factory=list)
    """Pictures that each good camera gave, all of them in one connection and without a gap."""


def meet(clip: Clip, seed: str) -> tuple[str, str]:
    """Connect to a mutated camera; what was told of it (or "pictures") and all the words of that."""
    with MutatedCamera(clip, random.Random(seed)) as camera:  # noqa: S311
        source, seen = open_source(camera.url, settings=HASTY), 0
        frames = iter(source)
        try:
            for frame in islice(frames, PICTURES // 3):
                seen += bool(frame.image.size)
        except SourceError as error:
            return error.code, f"{error} {source.state.message or ''}"
        finally:
            source.close()
            frames.close()  # type: ignore[attr-defined]
        return "pictures", source.state.message or ""


class Neighbour(threading.Thread):
    """Reads a good camera meanwhile."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.source, self.indices, self.sessions = open_source(url), list[int](), set[int]()

    def run(self) -> None:
        for frame in self.source:
            self.indices.append(frame.index)
            self.sessions.add(frame.session)


def fuzz(clips: Sequence[Clip], count: int, at_once: int, seed: int, neighbours: int = 1) -> Report:
    """Meet `count` mutated cameras, `at_once` of them side by side, beside good ones that send the first clip."""
    report = Report()

    def one(number: int) -> None:
        try:
            code, words = meet(clips[number % len(clips)], f"{seed} {number}")
        except Exception as error:  # whatever it is, it was not foreseen
            report.wrong.append(f"{number}: {type(error).__name__}: {error}")
            return
        report.told[code] += 1
        if code == "internal" or RUDE.search(words):
            report.wrong.append(f"{number}: {code}: {words}")

    with ExitStack() as stack:
        server = stack.enter_context(RtspServer({"camera": clips[0]}))
        good = [Neighbour(server.url()) for _ in range(neighbours)]
        for neighbour in good:
            neighbour.start()
            stack.callback(neighbour.join)
            stack.callback(neighbour.source.close)
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(one, range(count)))
    for number, neighbour in enumerate(good):
        report.neighbours.append(len(neighbour.indices))
        if neighbour.sessions != {0} or neighbour.indices != list(range(len(neighbour.indices))):
            lost = (neighbour.indices or [-1])[-1] + 1 - len(neighbour.indices)
            report.wrong.append(f"good camera {number}: {lost} pictures lost, sessions {neighbour.sessions}")
    return report


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cameras", type=int, default=2000, help="connections to mutated cameras")
    parser.add_argument("--at-once", type=int, default=16, help="of them side by side")
    parser.add_argument("--neighbours", type=int, default=4, help="good cameras meanwhile, 10 pictures a second each")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    options = parser.parse_args()
    images = [numbered_image(number) for number in range(20)]
    with tempfile.TemporaryDirectory() as folder:
        clips = [
            read_clip(write_clip(Path(folder) / f"{codec}.mp4", images, 10, codec=codec, options=more))
            for codec, more in (("libx264", None), ("libx265", {"x265-params": "log-level=none:bframes=0"}))
        ]
    began_s = time.monotonic()
    report = fuzz(clips, options.cameras, options.at_once, options.seed, options.neighbours)
    print(f"seed {options.seed}: {options.cameras} connections in {time.monotonic() - began_s:.0f} s")
    for code, times in report.told.most_common():
        print(f"{times:>6}  {code}")
    print(f"good cameras: {report.neighbours} pictures")
    for text in report.wrong:
        print(f"WRONG {text}")
    return int(bool(report.wrong))


if __name__ == "__main__":
    sys.exit(main())
