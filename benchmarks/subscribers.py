"""Many WebSocket subscribers of one stream, some of whom never read: do the others lose anything, is memory bounded?

    python -m benchmarks.subscribers --subscribers 200 --stalled 20 --seconds 60

Starts the service as a process of its own, whose networks are replaced by a crowd that is made up, so that what is
measured is the way from a frame's tracks to the subscribers. Exit code 1 when a reading subscriber lost a message or
the service's memory grew.
"""

import argparse
import asyncio
import re
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import numpy as np
import uvicorn

from benchmarks.conditions import RESULTS, conditions, save
from benchmarks.soak import post_stream, rss_mb, running_service
from edge.pipeline.lane import IdentityPolicy
from edge.pipeline.modes import Mode
from edge.pipeline.pipeline import TrackedFrame
from edge.pipeline.timings import StageTimes
from edge.sources.base import Frame
from edge.tracking.detections import Tracks, TrackState
from service.__main__ import DrainingServer
from service.app import create_app
from service.configuration import read_settings
from service.runtime import Runtime

CAMERA = "synthetic://?width=64&height=64&people=1"
PEOPLE = 50
MAX_GROWTH_MB = 16.0
"""What is kept of a stream is at most 8 MB, each stalled client's socket at most 64 kB and a message."""
SETTLE_S = 5.0
TEXT, PING, PONG = 1, 9, 10
_SEQ, _TS_OUT = re.compile(rb'"seq":(\d+)'), re.compile(rb'"ts_out":([\d.]+)')


class CrowdPipeline:
    """Implements `service.streams.worker.Pipeline` without networks: the same people walk on in every frame."""

    modes: tuple[Mode, ...] = ("atttrack",)
    depth = 1

    def __init__(self, people: int) -> None:
        self.times = StageTimes()
        rng = np.random.default_rng(0)
        self._corners = rng.uniform(0, 1000, (people, 2)).astype(np.float32)
        self._velocities = rng.normal(0, 50, (people, 2)).astype(np.float32)

    def add_lane(self, lane_id: str, *_: object, **__: object) -> None: ...
    def remove_lane(self, lane_id: str) -> None: ...
    def set_period(self, lane_id: str, k: int) -> None: ...
    def set_mode(self, lane_id: str, mode: Mode) -> None: ...
    def set_threshold(self, lane_id: str, threshold: float) -> None: ...
    def set_identity(self, lane_id: str, identity: IdentityPolicy) -> None: ...

    def submit(self, frames: Mapping[str, Frame]) -> Mapping[str, Frame]:
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
        return [TrackedFrame(lane_id, frame, tracks, "student", 6, 2) for lane_id, frame in in_flight.items()]


def serve(arguments: list[str]) -> None:
    """Be the service, with a crowd for networks."""
    settings = read_settings(arguments)
    runtime = Runtime(settings, lambda _: CrowdPipeline(PEOPLE))
    app = create_app(settings, runtime)
    config = uvicorn.Config(app, port=settings.port, log_config=None, ws_per_message_deflate=False)
    DrainingServer(config, runtime).run()


class Reader(asyncio.Protocol):
    """A subscriber who reads, with as little work as possible, and notes what came."""

    def __init__(self, handshake: bytes) -> None:
        self.seqs: list[int] = []
        self.gaps = 0
        self.delays_ms: list[float] = []  # from ts_out to its arrival here
        self.bytes = 0
        self.closed = False
        self._handshake = handshake
        self._buffer = bytearray()
        self._open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the WebSocket."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._handshake)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the service hung up."""
        self.closed = True

    def data_received(self, data: bytes) -> None:
        """Take whole frames (RFC 6455, section 5.2; those of a server are not masked) from what came."""
        self._buffer += data
        if not self._open:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            self._open = True
            del self._buffer[: end + 4]
        while (size := _frame_size(self._buffer)) and len(self._buffer) >= sum(size):
            head, length = size
            self._take(self._buffer[0] & 15, bytes(self._buffer[head : head + length]))
            del self._buffer[: head + length]

    def _take(self, kind: int, payload: bytes) -> None:
        if kind == PING:
            self._transport.write(bytes((0x80 | PONG, 0x80 | len(payload), 0, 0, 0, 0)) + payload)
        elif kind == TEXT:
            now = time.time()
            self.seqs.append(int(_number(_SEQ, payload)))
            self.delays_ms.append((now - _number(_TS_OUT, payload)) * 1000)
            self.gaps += int(payload[payload.rindex(b":") + 1 : -1])
            self.bytes += len(payload)

    @property
    def missed(self) -> int:
        """Messages that did not come, by their numbers."""
        return self.seqs[-1] - self.seqs[0] + 1 - len(self.seqs) if self.seqs else 0


def _number(field: re.Pattern[bytes], message: bytes) -> float:
    """A number out of a message, without parsing what is around it. Raises ValueError where it is not there."""
    found = field.search(message)
    if found is None:
        raise ValueError(f"a message without {field.pattern!r}: {message[:80]!r}")
    return float(found[1])


def _frame_size(buffer: bytearray) -> tuple[int, int] | None:
    """(bytes of the head, bytes of the payload) of the frame that begins `buffer`; None where too little is there."""
    if len(buffer) < 2:
        return None
    short = buffer[1] & 127
    if short < 126:
        return 2, short
    head = 4 if short == 126 else 10
    return (head, int.from_bytes(buffer[2:head])) if len(buffer) >= head else None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the run showed."""

    subscribers: int
    stalled: int
    seconds: float
    messages: int  # of the stream
    message_bytes: int
    delivered_per_s: float  # to all readers together
    missed: int
    gaps: int
    delay_p50_ms: float
    delay_p95_ms: float
    memory_start_mb: float
    memory_end_mb: float
    memory_peak_mb: float
    failures: list[str]


def judge(readers: Sequence[Reader], stalled: int, seconds: float, memory_mb: Sequence[float]) -> Verdict:
    """Compare what came with what was sent, and the memory of the end with that of the start."""
    missed, gaps = sum(one.missed for one in readers), sum(one.gaps for one in readers)
    received = sum(len(one.seqs) for one in readers)
    delays = np.concatenate([one.delays_ms for one in readers])
    start, end = float(np.median(memory_mb[:3])), float(np.median(memory_mb[-3:]))
    failures = []
    if missed or gaps:
        failures.append(f"reading subscribers lost {missed} messages and were told of {gaps}")
    if max(memory_mb) - start > MAX_GROWTH_MB:
        failures.append(f"memory grew by {max(memory_mb) - start:.1f} MB, allowed are {MAX_GROWTH_MB:g}")
    if not all(one.seqs and not one.closed for one in readers):
        failures.append("reading subscribers got nothing, or were sent away")
    return Verdict(
        subscribers=len(readers) + stalled,
        stalled=stalled,
        seconds=round(seconds, 1),
        messages=max(len(one.seqs) for one in readers),
        message_bytes=round(sum(one.bytes for one in readers) / max(1, received)),
        delivered_per_s=round(received / seconds, 1),
        missed=missed,
        gaps=gaps,
        delay_p50_ms=round(float(np.percentile(delays, 50)), 1),
        delay_p95_ms=round(float(np.percentile(delays, 95)), 1),
        memory_start_mb=round(start, 1),
        memory_end_mb=round(end, 1),
        memory_peak_mb=round(max(memory_mb), 1),
        failures=failures,
    )


def handshake(url: str) -> bytes:
    """Request of a WebSocket (RFC 6455, section 4.1); any key will do."""
    parts = urlsplit(url)
    return (
        f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


@contextmanager
def stalled_client(url: str) -> Iterator[None]:
    """A client that shakes hands and never reads again."""
    parts = urlsplit(url)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((parts.hostname, parts.port))
        client.sendall(handshake(url))
        yield


async def subscribe(url: str, readers: int, stalled: int, seconds: float, pid: int) -> Verdict:
    """Connect everybody, let it settle, and watch for `seconds`."""
    loop = asyncio.get_running_loop()
    host, port = urlsplit(url).hostname, urlsplit(url).port
    with ExitStack() as stack:
        results = []
        for _ in range(readers):
            transport, reader = await loop.create_connection(lambda: Reader(handshake(url)), host or "", port or 80)
            stack.callback(transport.close)
            results.append(reader)
        for _ in range(stalled):
            stack.enter_context(stalled_client(url))
        await asyncio.sleep(SETTLE_S)
        memory_mb, begin = [rss_mb(pid)], time.monotonic()
        while time.monotonic() - begin < seconds:
            await asyncio.sleep(1)
            memory_mb.append(rss_mb(pid))
        return judge(results, stalled, time.monotonic() - begin + SETTLE_S, memory_mb)


def main() -> int:
    """Run, print, save; 0 when nobody lost anything. With arguments of the service, be that service."""
    if "--port" in sys.argv:
        serve(sys.argv[1:])
        return 0
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--subscribers", type=int, default=200, help="all together")
    parser.add_argument("--stalled", type=int, default=20, help="of these, clients that never read")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--fps", type=float, default=25.0, help="messages per second")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for subscribers.json")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        with running_service(Path(folder) / "service.log", [], "benchmarks.subscribers") as (service, base):
            stream = post_stream(base, f"{CAMERA}&fps={options.fps:g}")
            url = f"{base.replace('http', 'ws', 1)}/streams/{stream}/tracks"
            readers = options.subscribers - options.stalled
            verdict = asyncio.run(subscribe(url, readers, options.stalled, options.seconds, service.pid))
    for name, value in asdict(verdict).items():
        print(f"{name:18} {value}")
    result = {"conditions": conditions(), "people": PEOPLE, "fps": options.fps}
    print(f"saved {save('subscribers', result | asdict(verdict), options.output)}")
    return 1 if verdict.failures else 0


if __name__ == "__main__":
    sys.exit(main())
