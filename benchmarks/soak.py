"""Minutes of a looping RTSP camera: is the service's memory flat, and are its tracks fresh?

    python -m benchmarks.soak --minutes 10 --video street.mp4

Starts a camera and the service as a process of its own, posts the stream, subscribes, and watches. Exit code 1 when
memory grows or tracks are late.
"""

import argparse
import json
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm
from websockets.sync.client import connect

from benchmarks.conditions import RESULTS, ROOT, conditions, save
from edge.sources import open_source
from tests.support.clips import read_clip, write_clip
from tests.support.rtsp_server import RtspServer

WARM_UP_S = 60.0
"""Buffers, caches and the allocator settle; growth counts from here."""
MAX_GROWTH_MB = 5.0
MAX_AGE_P95_MS = 150.0
DRAWN_SCENE = "synthetic://?width=1280&height=720&people=20&fps=25"
CLIP_S = 20.0
START_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of the service at one moment."""

    time_s: float  # since the first track message
    rss_mb: float


@dataclass(frozen=True, slots=True)
class Arrival:
    """One track message, as its subscriber got it."""

    time_s: float  # since the first track message
    age_ms: float  # ts_out - ts_capture
    delivered_ms: float  # arrival - ts_capture
    frame_id: int
    people: int
    gap: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the run showed; everything counts from the end of the warm-up."""

    minutes: float
    messages_per_s: float
    age_p50_ms: float
    age_p95_ms: float
    age_p99_ms: float
    delivered_p95_ms: float
    frames_skipped: int
    messages_lost: int
    people: float
    memory_start_mb: float
    memory_end_mb: float
    growth_mb: float
    failures: list[str]


def judge(memory: Sequence[Memory], arrivals: Sequence[Arrival], warm_up_s: float) -> Verdict:
    """Compare medians of the first and last tenth of memory after the warm-up, and the age of the tracks.

    Raises ValueError when the run is no longer than the warm-up.
    """
    memory = [m for m in memory if m.time_s >= warm_up_s]
    arrivals = [a for a in arrivals if a.time_s >= warm_up_s]
    if len(memory) < 2 or len(arrivals) < 2:
        raise ValueError(f"nothing measured after the warm-up of {warm_up_s:g} s: run longer, or see the service's log")
    tenth = math.ceil(len(memory) / 10)
    start, end = (float(np.median([m.rss_mb for m in part])) for part in (memory[:tenth], memory[-tenth:]))
    p50, p95, p99 = np.percentile([a.age_ms for a in arrivals], (50, 95, 99)).tolist()
    seconds = arrivals[-1].time_s - arrivals[0].time_s
    failures = []
    if end - start >= MAX_GROWTH_MB:
        failures.append(f"memory grew by {end - start:.1f} MB, allowed are {MAX_GROWTH_MB:g}")
    if p95 >= MAX_AGE_P95_MS:
        failures.append(f"tracks are {p95:.0f} ms old (p95), allowed are {MAX_AGE_P95_MS:g}")
    return Verdict(
        minutes=round(seconds / 60, 2),
        messages_per_s=round((len(arrivals) - 1) / seconds, 2),
        age_p50_ms=round(p50, 1),
        age_p95_ms=round(p95, 1),
        age_p99_ms=round(p99, 1),
        delivered_p95_ms=round(float(np.percentile([a.delivered_ms for a in arrivals], 95)), 1),
        frames_skipped=arrivals[-1].frame_id - arrivals[0].frame_id + 1 - len(arrivals),
        messages_lost=sum(a.gap for a in arrivals),
        people=round(float(np.mean([a.people for a in arrivals])), 1),
        memory_start_mb=round(start, 1),
        memory_end_mb=round(end, 1),
        growth_mb=round(end - start, 2),
        failures=failures,
    )


def record_clip(url: str, path: Path) -> Path:
    """Encode the first CLIP_S seconds of any source as a clip that the camera can loop."""
    source = open_source(url)
    rate = source.frame_rate or 25.0
    try:
        frames = islice(source, round(CLIP_S * rate))
        return write_clip(path, (frame.image for frame in frames), frame_rate=rate)
    finally:
        source.close()


@contextmanager
def running_service(
    log: Path, arguments: Sequence[str], module: str = "service"
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The service as a process; yields it with its base URL once it answers, and ends it as Ctrl-C would.

    It may reach cameras on this machine, and keeps its state beside `log`.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", module, "--port", str(port), "--allow-loopback"]
    command += ["--state-dir", str(log.parent / "state"), *arguments]
    with log.open("wb") as output:
        service = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
    try:
        _await_health(service, f"http://127.0.0.1:{port}", log)
        yield service, f"http://127.0.0.1:{port}"
    finally:
        service.send_signal(signal.SIGINT)
        try:
            service.wait(timeout=15)
        except subprocess.TimeoutExpired:
            service.kill()
            service.wait()


def _await_health(service: subprocess.Popen[bytes], base: str, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and service.poll() is None:
        try:
            with urllib.request.urlopen(f"{base}/readyz", timeout=5):  # noqa: S310  (our own http URL)
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise SystemExit(f"the service did not start; its log says:\n{log.read_text()[-2000:]}")


def post_stream(base: str, camera: str) -> str:
    """POST /streams; return the id of the new stream."""
    request = urllib.request.Request(  # noqa: S310  (our own http URL)
        f"{base}/streams",
        data=json.dumps({"url": camera}).encode(),
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=START_TIMEOUT_S) as answer:  # noqa: S310
        return str(json.load(answer)["id"])


def rss_mb(pid: int) -> float:
    """Resident memory of a process, from Linux's /proc."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def watch(service: subprocess.Popen[bytes], tracks: str, seconds: float) -> tuple[list[Memory], list[Arrival], str]:
    """Subscribe and sample until `seconds` after the first message; also returns the name of the capture clock."""
    memory: list[Memory] = []
    arrivals: list[Arrival] = []
    with connect(tracks, max_size=None) as socket_:
        message = json.loads(socket_.recv(timeout=START_TIMEOUT_S))
        clock, begin = str(message["clock"]), time.time()
        done = threading.Event()

        def sample() -> None:
            while not done.is_set() and service.poll() is None:
                memory.append(Memory(time.time() - begin, rss_mb(service.pid)))
                done.wait(1.0)

        sampler = threading.Thread(target=sample)
        sampler.start()
        try:
            with tqdm(total=round(seconds), unit="s", desc="soak", disable=None) as bar:
                while (elapsed := time.time() - begin) < seconds:
                    message = json.loads(socket_.recv(timeout=START_TIMEOUT_S))
                    arrivals.append(_arrival(message, begin))
                    bar.update(int(elapsed) - bar.n)
        finally:
            done.set()
            sampler.join()
    return memory, arrivals, clock


def _arrival(message: dict[str, Any], begin: float) -> Arrival:
    now = time.time()
    return Arrival(
        time_s=now - begin,
        age_ms=(message["ts_out"] - message["ts_capture"]) * 1000,
        delivered_ms=(now - message["ts_capture"]) * 1000,
        frame_id=message["frame_id"],
        people=len(message["tracks"]),
        gap=message["gap"],
    )


def draw(memory: Sequence[Memory], arrivals: Sequence[Arrival], path: Path) -> None:
    """Memory and age over time."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (upper, lower) = pyplot.subplots(2, 1, figsize=(9, 6), sharex=True, layout="constrained")
    upper.plot([m.time_s for m in memory], [m.rss_mb for m in memory])
    upper.set(ylabel="service memory, MB", ylim=(0, None))
    lower.plot([a.time_s for a in arrivals], [a.age_ms for a in arrivals], ".", markersize=1)
    lower.axhline(MAX_AGE_P95_MS, color="red", linewidth=0.8)
    lower.set(ylabel="age of tracks, ms", xlabel="seconds", ylim=(0, None))
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def main() -> int:
    """Run, print, save; 0 when both promises hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="after the first track message")
    parser.add_argument("--warm-up", type=float, default=WARM_UP_S, metavar="SECONDS")
    parser.add_argument(
        "--video", default=DRAWN_SCENE, help="what the camera shows: a file, a MOT folder or synthetic://"
    )
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for soak.json and soak.png")
    parser.add_argument("service", nargs="*", help="arguments for the service, after --")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        clip = read_clip(record_clip(options.video, Path(folder) / "clip.mp4"))
        log = Path(folder) / "service.log"
        with RtspServer({"camera": clip}) as camera, running_service(log, options.service) as (service, base):
            stream = post_stream(base, camera.url())
            tracks = f"{base.replace('http', 'ws', 1)}/streams/{stream}/tracks"
            memory, arrivals, clock = watch(service, tracks, options.minutes * 60)

    verdict = judge(memory, arrivals, options.warm_up)
    for name, value in asdict(verdict).items():
        print(f"{name:18} {value}")
    result = {"conditions": conditions(), "video": options.video, "clock": clock, "service": options.service}
    path = save("soak", result | asdict(verdict) | {"rss_mb": [round(m.rss_mb, 1) for m in memory]}, options.output)
    draw(memory, arrivals, path.with_suffix(".png"))
    print(f"saved {path} and its plot")
    return 1 if verdict.failures else 0


if __name__ == "__main__":
    sys.exit(main())
