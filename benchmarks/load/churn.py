"""Streams come and go: do threads, open files and memory of the service go with them?

    atttrack bench churn --cycles 1000

Starts a camera and the service as a process of its own. In each round some streams are added, followed until each has
tracked a frame (one of them is an address where no camera is), and removed again. Between rounds, at rest, the process
is measured. Exit code 1 when something grows.

The camera shows a drawn scene, filmed before: the service itself would spend more time on drawing than on all that is
measured here.
"""

import itertools
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm
from websockets.sync.client import connect

from benchmarks.command import command, one_line
from benchmarks.conditions import RESULTS, conditions, save_verdict
from benchmarks.load.usage import Held
from testbed.clips import read_clip, record
from testbed.rtsp_server import RtspServer
from testbed.service_process import ServiceProcess

AT_ONCE = 8
"""Streams of one round."""
WARM_UP = 0.1
"""Share of the rounds in which pools fill and the allocator settles; growth counts from there."""
MAX_GROWTH_MB = 10.0
MAX_MORE = 2
"""Files or threads; more than that is growth."""
NO_CAMERA = "rtsp://127.0.0.1:1025/nobody"
PICTURES = "synthetic://?width=320&height=192&people=4&fps=15"


def judge(samples: Sequence[Held]) -> dict[str, Any]:
    """Compare the least of the last third of the samples with that of the first; ValueError for less than three."""
    third = len(samples) // 3
    if third == 0:
        raise ValueError(f"at least 3 samples are needed, got {len(samples)}: run more cycles")
    growth = {
        name: min(getattr(one, name) for one in samples[-third:]) - min(getattr(one, name) for one in samples[:third])
        for name in ("rss_mb", "files", "threads")
    }
    failures = [f"{growth[name]} more {name}" for name in ("files", "threads") if growth[name] > MAX_MORE]
    if growth["rss_mb"] >= MAX_GROWTH_MB:
        failures.append(f"memory grew by {growth['rss_mb']:.1f} MB, allowed are {MAX_GROWTH_MB:g}")
    found = {"growth_mb": round(growth["rss_mb"], 2), "more_files": growth["files"], "more_threads": growth["threads"]}
    return found | {"failures": failures}


def come_and_go(service: ServiceProcess, urls: Sequence[str], names: Iterator[int]) -> None:
    """One round: add a stream for each URL, wait until each has tracked a frame, remove them all."""
    ids = {f"churn-{next(names)}": url for url in urls}
    with service.http as http, ExitStack() as followed:
        for stream_id, url in ids.items():
            http.post("/streams", json={"id": stream_id, "url": url}).raise_for_status()
        for stream_id, url in ids.items():
            if url != NO_CAMERA:
                socket = followed.enter_context(connect(service.tracks(stream_id), max_size=None, ping_interval=None))
                socket.recv(timeout=60)
        for stream_id in ids:
            http.delete(f"/streams/{stream_id}").raise_for_status()


def at_rest(pid: int, begin_s: float, rest: Held | None) -> Held:
    """Measure once the process has no more files and threads than it had at rest before, or does not get there."""
    deadline_s = time.monotonic() + 10.0
    while True:
        held = Held.of(pid, begin_s)
        settled = rest is None or (held.files <= rest.files and held.threads <= rest.threads)
        if settled or time.monotonic() > deadline_s:
            return held
        time.sleep(0.1)


def run(
    cycles: int, samples: int, arguments: Sequence[str], camera_shows: str = PICTURES, at_once: int = AT_ONCE
) -> list[Held]:
    """Let streams come and go; returns the service at rest, evenly spread over the cycles after the warm-up."""
    rounds = max(1, cycles // at_once)
    warm = int(rounds * WARM_UP)
    every = max(1, (rounds - warm) // samples)
    found: list[Held] = []
    names, begin_s = itertools.count(1), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        clip = read_clip(record(camera_shows, Path(folder) / "clip.mp4"))
        flags = ["--allow-loopback", "--state-dir", f"{folder}/state", *arguments]
        with RtspServer({"camera": clip}) as camera, ServiceProcess(Path(folder) / "service.log", *flags) as service:
            urls = [camera.url()] * (at_once - 1) + [NO_CAMERA]
            for number in tqdm(range(1, rounds + 1), desc="churn", unit="round", disable=None):
                come_and_go(service, urls, names)
                if number >= warm and (number - warm) % every == 0:
                    found.append(at_rest(service.process.pid, begin_s, found[0] if found else None))
    return found


@one_line("churn")
def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, save; 0 when nothing grows."""
    parser = command("churn", __doc__)
    parser.add_argument("--cycles", type=int, default=1000, help="streams to add and remove")
    parser.add_argument("--samples", type=int, default=30, help="how often to measure")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for churn.json")
    parser.add_argument("service", nargs="*", help="arguments for the service, after --")
    options = parser.parse_args(arguments)
    samples = run(options.cycles, options.samples, options.service)
    result = {"conditions": conditions(), "service": options.service, "at_once": AT_ONCE, "cycles": options.cycles}
    result["samples"] = [asdict(one) for one in samples]
    return save_verdict("churn", result, judge(samples), options.output)


if __name__ == "__main__":
    sys.exit(main())
