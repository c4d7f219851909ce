"""Minutes of a looping RTSP camera: is the service's memory flat, and are its tracks fresh?

    atttrack bench soak --minutes 10 --video street.mp4

Starts a camera and the service as a process of its own, posts the stream, subscribes, and watches. Exit code 1 when
memory grows or tracks are late.
"""

import json
import math
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm
from websockets.sync.client import connect

from benchmarks.command import command
from benchmarks.conditions import RESULTS, conditions, save_verdict
from benchmarks.figures import panels, write
from benchmarks.load.usage import rss_mb
from testbed.clips import read_clip, record
from testbed.rtsp_server import RtspServer
from testbed.service_process import ServiceProcess

WARM_UP_S = 60.0
"""Buffers, caches and the allocator settle; growth counts from here."""
MAX_GROWTH_MB = 5.0
MAX_AGE_P95_MS = 150.0
MESSAGE_TIMEOUT_S = 60.0
DRAWN_SCENE = "synthetic://?width=1280&height=720&people=20&fps=25"


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

    @classmethod
    def of(cls, message: dict[str, Any], begin_s: float) -> "Arrival":
        """One that came now."""
        now, captured = time.time(), message["ts_capture"]
        age_ms, delivered_ms = (message["ts_out"] - captured) * 1000, (now - captured) * 1000
        return cls(now - begin_s, age_ms, delivered_ms, message["frame_id"], len(message["tracks"]), message["gap"])


def judge(memory: Sequence[Memory], arrivals: Sequence[Arrival], warm_up_s: float) -> dict[str, Any]:
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
    return {
        "minutes": round(seconds / 60, 2),
        "messages_per_s": round((len(arrivals) - 1) / seconds, 2),
        "age_p50_ms": round(p50, 1),
        "age_p95_ms": round(p95, 1),
        "age_p99_ms": round(p99, 1),
        "delivered_p95_ms": round(float(np.percentile([a.delivered_ms for a in arrivals], 95)), 1),
        "frames_skipped": arrivals[-1].frame_id - arrivals[0].frame_id + 1 - len(arrivals),
        "messages_lost": sum(a.gap for a in arrivals),
        "people": round(float(np.mean([a.people for a in arrivals])), 1),
        "memory_start_mb": round(start, 1),
        "memory_end_mb": round(end, 1),
        "growth_mb": round(end - start, 2),
        "failures": failures,
    }


def watch(service: ServiceProcess, stream: str, seconds: float) -> tuple[list[Memory], list[Arrival], str]:
    """Subscribe and sample until `seconds` after the first message; also returns the name of the capture clock."""
    memory: list[Memory] = []
    arrivals: list[Arrival] = []
    with connect(service.tracks(stream), max_size=None) as socket:
        clock, begin_s = str(json.loads(socket.recv(timeout=MESSAGE_TIMEOUT_S))["clock"]), time.time()
        done = threading.Event()

        def sample() -> None:
            while not done.is_set() and service.process.poll() is None:
                memory.append(Memory(time.time() - begin_s, rss_mb(service.process.pid)))
                done.wait(1.0)

        sampler = threading.Thread(target=sample)
        sampler.start()
        try:
            with tqdm(total=round(seconds), unit="s", desc="soak", disable=None) as bar:
                while (elapsed_s := time.time() - begin_s) < seconds:
                    arrivals.append(Arrival.of(json.loads(socket.recv(timeout=MESSAGE_TIMEOUT_S)), begin_s))
                    bar.update(int(elapsed_s) - bar.n)
        finally:
            done.set()
            sampler.join()
    return memory, arrivals, clock


def draw(memory: Sequence[Memory], arrivals: Sequence[Arrival], path: Path) -> None:
    """Memory and age over time."""
    figure, [[upper], [lower]] = panels(1080, 720, 2, 1, sharex=True)
    upper.plot([m.time_s for m in memory], [m.rss_mb for m in memory])
    upper.set(ylabel="service memory, MB", ylim=(0, None))
    lower.plot([a.time_s for a in arrivals], [a.age_ms for a in arrivals], ".", markersize=1)
    lower.axhline(MAX_AGE_P95_MS, color="red", linewidth=0.8)
    lower.set(ylabel="age of tracks, ms", xlabel="seconds", ylim=(0, None))
    write(figure, path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, save; 0 when both promises hold."""
    parser = command("soak", __doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="after the first track message")
    parser.add_argument("--warm-up", type=float, default=WARM_UP_S, metavar="SECONDS", help="that do not count")
    parser.add_argument("--video", default=DRAWN_SCENE, help="the camera's: a file, a MOT folder or synthetic://")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for soak.json and soak.png")
    parser.add_argument("service", nargs="*", help="arguments for the service, after --")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        clip = read_clip(record(options.video, Path(folder) / "clip.mp4"))
        flags = ["--allow-loopback", "--state-dir", f"{folder}/state", *options.service]
        with RtspServer({"camera": clip}) as camera, ServiceProcess(Path(folder) / "service.log", *flags) as service:
            memory, arrivals, clock = watch(service, service.add(camera.url()), options.minutes * 60)
    verdict = judge(memory, arrivals, options.warm_up)
    result = {"conditions": conditions(), "video": options.video, "clock": clock, "service": options.service}
    result["rss_mb"] = [round(m.rss_mb, 1) for m in memory]
    draw(memory, arrivals, options.output / "soak.png")
    return save_verdict("soak", result, verdict, options.output)


if __name__ == "__main__":
    sys.exit(main())
