"""Many WebSocket subscribers of one stream, some of whom never read: do the others lose anything, is memory bounded?

    atttrack bench subscribers --subscribers 200 --stalled 20 --seconds 60

Starts the service as a process of its own, whose networks are replaced by a crowd that is made up, so that what is
measured is the way from a frame's tracks to the subscribers. Exit code 1 when a reading subscriber lost a message or
the service's memory grew.
"""

import asyncio
import re
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from benchmarks.command import command
from benchmarks.conditions import RESULTS, conditions, save_verdict
from benchmarks.load.usage import rss_mb
from testbed import crowd_service
from testbed.service_process import ServiceProcess

CAMERA = "synthetic://?width=64&height=64&people=1"
MAX_GROWTH_MB = 16.0
"""What is kept of a stream is at most 8 MB, each stalled client's socket at most 64 kB and a message."""
SETTLE_S = 5.0
_SEQ, _TS_OUT, _GAP = (re.compile(rf'"{name}":([\d.]+)'.encode()) for name in ("seq", "ts_out", "gap"))


@dataclass(slots=True)
class Reader:
    """A subscriber who reads, and notes what came."""

    seqs: list[int] = field(default_factory=list)
    gaps: int = 0
    delays_ms: list[float] = field(default_factory=list)
    """From ts_out to its arrival here."""
    bytes: int = 0
    closed: bool = False

    async def read(self, url: str) -> None:
        """Until cancelled, or sent away. Messages are searched, not parsed: there are thousands in a second."""
        try:
            async with connect(url, max_size=None, compression=None, ping_interval=None) as messages:
                async for message in messages:
                    now = time.time()
                    raw = message.encode() if isinstance(message, str) else message
                    seq, sent_s, gap = (_number(name, raw) for name in (_SEQ, _TS_OUT, _GAP))
                    self.seqs.append(int(seq))
                    self.delays_ms.append((now - sent_s) * 1000)
                    self.gaps += int(gap)
                    self.bytes += len(raw)
        except ConnectionClosed:
            pass
        self.closed = True

    @property
    def missed(self) -> int:
        """Messages that did not come, by their numbers."""
        return self.seqs[-1] - self.seqs[0] + 1 - len(self.seqs) if self.seqs else 0


def _number(name: re.Pattern[bytes], message: bytes) -> float:
    """A number of a message. Raises ValueError where it is not there."""
    found = name.search(message)
    if found is None:
        raise ValueError(f"a message without {name.pattern!r}: {message[:80]!r}")
    return float(found[1])


def judge(readers: Sequence[Reader], stalled: int, seconds: float, memory_mb: Sequence[float]) -> dict[str, Any]:
    """Compare what came with what was sent, and the memory of the end with that of the start."""
    missed, gaps = sum(one.missed for one in readers), sum(one.gaps for one in readers)
    received = sum(len(one.seqs) for one in readers)
    delays = np.concatenate([one.delays_ms or [np.nan] for one in readers])
    p50, p95 = np.nanpercentile(delays, (50, 95)).tolist() if received else (0.0, 0.0)
    start, end = float(np.median(memory_mb[:3])), float(np.median(memory_mb[-3:]))
    failures = []
    if missed or gaps:
        failures.append(f"reading subscribers lost {missed} messages and were told of {gaps}")
    if max(memory_mb) - start > MAX_GROWTH_MB:
        failures.append(f"memory grew by {max(memory_mb) - start:.1f} MB, allowed are {MAX_GROWTH_MB:g}")
    if not all(one.seqs and not one.closed for one in readers):
        failures.append("reading subscribers got nothing, or were sent away")
    return {
        "subscribers": len(readers) + stalled,
        "stalled": stalled,
        "seconds": round(seconds, 1),
        "messages": max(len(one.seqs) for one in readers),
        "message_bytes": round(sum(one.bytes for one in readers) / max(1, received)),
        "delivered_per_s": round(received / seconds, 1),
        "missed": missed,
        "gaps": gaps,
        "delay_p50_ms": round(p50, 1),
        "delay_p95_ms": round(p95, 1),
        "memory_start_mb": round(start, 1),
        "memory_end_mb": round(end, 1),
        "memory_peak_mb": round(max(memory_mb), 1),
        "failures": failures,
    }


def stalled_client(url: str) -> socket.socket:
    """A client that shakes hands (RFC 6455, section 4.1; any key will do) and never reads again."""
    parts = urlsplit(url)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect((parts.hostname, parts.port))
    upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13"
    key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
    client.sendall(f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n{upgrade}\r\n{key}\r\n\r\n".encode())
    return client


async def subscribe(url: str, count: int, stalled: int, seconds: float, pid: int) -> dict[str, Any]:
    """Connect everybody, let it settle, and watch for `seconds`."""
    with ExitStack() as stack:
        readers = [Reader() for _ in range(count)]
        tasks = [asyncio.create_task(reader.read(url)) for reader in readers]
        for _ in range(stalled):
            stack.enter_context(stalled_client(url))
        await asyncio.sleep(SETTLE_S)
        memory_mb, begin_s = [rss_mb(pid)], time.monotonic()
        while time.monotonic() - begin_s < seconds:
            await asyncio.sleep(1)
            memory_mb.append(rss_mb(pid))
        verdict = judge(readers, stalled, time.monotonic() - begin_s + SETTLE_S, memory_mb)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return verdict


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, save; 0 when nobody lost anything."""
    parser = command("subscribers", __doc__)
    parser.add_argument("--subscribers", type=int, default=200, help="all together")
    parser.add_argument("--stalled", type=int, default=20, help="of these, clients that never read")
    parser.add_argument("--seconds", type=float, default=60.0, help="of listening")
    parser.add_argument("--fps", type=float, default=25.0, help="messages per second")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for subscribers.json")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        flags = ["--allow-loopback", "--state-dir", f"{folder}/state"]
        with ServiceProcess(Path(folder) / "service.log", *flags, module=crowd_service.__name__) as service:
            url = service.tracks(service.add(f"{CAMERA}&fps={options.fps:g}"))
            count = options.subscribers - options.stalled
            verdict = asyncio.run(subscribe(url, count, options.stalled, options.seconds, service.process.pid))
    result = {"conditions": conditions(), "people": crowd_service.PEOPLE, "fps": options.fps}
    return save_verdict("subscribers", result, verdict, options.output)


if __name__ == "__main__":
    sys.exit(main())
