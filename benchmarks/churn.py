"""Streams come and go: do threads, open files and memory of the service go with them?

    python -m benchmarks.churn --cycles 1000

Starts a camera and the service as a process of its own. In each round some streams are added, followed until each has
tracked a frame (one of them is an address where no camera is), and removed again. Between rounds, at rest, the process
is measured. Exit code 1 when something grows.

The camera shows a drawn scene, filmed before: the service itself would spend more time on drawing than on all that is
measured here.
"""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
from tqdm import tqdm
from websockets.sync.client import connect

from benchmarks.conditions import RESULTS, conditions, save
from benchmarks.soak import record_clip, rss_mb, running_service
from tests.support.clips import read_clip
from tests.support.rtsp_server import RtspServer

AT_ONCE = 8
"""Streams of one round."""
WARM_UP = 0.1
"""Share of the rounds in which pools fill and the allocator settles; growth counts from there."""
MAX_GROWTH_MB = 10.0
MAX_MORE = 2
"""Files or threads; more than that is growth."""
NO_CAMERA = "rtsp://127.0.0.1:1025/nobody"
PICTURES = "synthetic://?width=320&height=192&people=4&fps=15"
TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Sample:
    """The process at rest, without streams."""

    cycles: int
    rss_mb: float
    files: int
    threads: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the run showed from the end of the warm-up on."""

    cycles: int
    growth_mb: float
    more_files: int
    more_threads: int
    failures: list[str]


def judge(samples: Sequence[Sample]) -> Verdict:
    """Compare the last third of the samples with the first third. Raises ValueError for less than three."""
    third = len(samples) // 3
    if third == 0:
        raise ValueError(f"at least 3 samples are needed, got {len(samples)}: run more cycles")
    first, last = samples[:third], samples[-third:]
    growth = {
        name: min(getattr(one, name) for one in last) - min(getattr(one, name) for one in first)
        for name in ("rss_mb", "files", "threads")
    }
    failures = [f"{growth[name]} more {name}" for name in ("files", "threads") if growth[name] > MAX_MORE]
    if growth["rss_mb"] >= MAX_GROWTH_MB:
        failures.append(f"memory grew by {growth['rss_mb']:.1f} MB, allowed are {MAX_GROWTH_MB:g}")
    cycles = samples[-1].cycles - samples[0].cycles
    return Verdict(cycles, round(growth["rss_mb"], 2), int(growth["files"]), int(growth["threads"]), failures)


def measure(pid: int, cycles: int) -> Sample:
    """Look into Linux's /proc."""
    process = Path("/proc") / str(pid)
    files, threads = (len(os.listdir(process / name)) for name in ("fd", "task"))
    return Sample(cycles, round(rss_mb(pid), 2), files, threads)


def come_and_go(http: httpx.Client, tracks: str, urls: Sequence[str], names: "itertools.count[int]") -> None:
    """One round: add a stream for each URL, wait until each has tracked a frame, remove them all."""
    ids = {f"churn-{next(names)}": url for url in urls}
    for stream_id, url in ids.items():
        http.post("/streams", json={"id": stream_id, "url": url}).raise_for_status()
    with ExitStack() as followed:
        for stream_id, url in ids.items():
            if url != NO_CAMERA:
                socket = followed.enter_context(connect(tracks.format(stream_id), max_size=None, ping_interval=None))
                socket.recv(timeout=TIMEOUT_S)
        for stream_id in ids:
            http.delete(f"/streams/{stream_id}").raise_for_status()


def at_rest(pid: int, cycles: int, rest: Sample | None) -> Sample:
    """Measure once the process has no more files and threads than it had at rest before, or does not get there."""
    deadline = time.monotonic() + 10.0
    while True:
        sample = measure(pid, cycles)
        settled = rest is None or (sample.files <= rest.files and sample.threads <= rest.threads)
        if settled or time.monotonic() > deadline:
            return sample
        time.sleep(0.1)


def churn(
    service: subprocess.Popen[bytes], base: str, camera: str, cycles: int, samples: int, at_once: int
) -> list[Sample]:
    """Let streams come and go; returns the process at rest, evenly spread over the cycles after the warm-up."""
    urls = [camera] * (at_once - 1) + [NO_CAMERA]
    tracks = f"{base.replace('http', 'ws', 1)}/streams/{{}}/tracks"
    names = itertools.count(1)
    rounds = max(1, cycles // at_once)
    warm = int(rounds * WARM_UP)
    every = max(1, (rounds - warm) // samples)
    found: list[Sample] = []
    with httpx.Client(base_url=base, timeout=TIMEOUT_S) as http:
        for number in tqdm(range(1, rounds + 1), desc="churn", unit="round", disable=None):
            come_and_go(http, tracks, urls, names)
            if number >= warm and (number - warm) % every == 0:
                found.append(at_rest(service.pid, number * at_once, found[0] if found else None))
    return found


def run(
    cycles: int, samples: int, arguments: Sequence[str], camera_shows: str = PICTURES, at_once: int = AT_ONCE
) -> list[Sample]:
    """Start camera and service, and measure."""
    with tempfile.TemporaryDirectory() as folder:
        clip = read_clip(record_clip(camera_shows, Path(folder) / "clip.mp4"))
        log = Path(folder) / "service.log"
        with RtspServer({"camera": clip}) as camera, running_service(log, arguments) as (service, base):
            return churn(service, base, camera.url(), cycles, samples, at_once)


def main() -> int:
    """Run, print, save; 0 when nothing grows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cycles", type=int, default=1000, help="streams to add and remove")
    parser.add_argument("--samples", type=int, default=30, help="how often to measure")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for churn.json")
    parser.add_argument("service", nargs="*", help="arguments for the service, after --")
    options = parser.parse_args()
    samples = run(options.cycles, options.samples, options.service)
    verdict = judge(samples)
    for name, value in asdict(verdict).items():
        print(f"{name:14} {value}")
    result = {"conditions": conditions(), "service": options.service, "at_once": AT_ONCE}
    path = save("churn", result | asdict(verdict) | {"samples": [asdict(one) for one in samples]}, options.output)
    print(f"saved {path}")
    return 1 if verdict.failures else 0


if __name__ == "__main__":
    sys.exit(main())
