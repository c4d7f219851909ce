"""Hours of cameras that come and go: do memory, files and threads stay what they were?

    python -m benchmarks.load.endurance --hours 1 --video street.mp4

Eight cameras, of which two hang up and come back and one is removed and added again, once a minute each; twenty
subscribers, of which one leaves and comes back; zones on every stream; and a broker, where mosquitto or redis-server is
installed. Exit code 1 when memory grows by 1 MB an hour or more after the warm-up, or files or threads grow.
"""

import argparse
import itertools
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from benchmarks.conditions import RESULTS, conditions, save_verdict
from benchmarks.load.soak import DRAWN_SCENE
from benchmarks.load.usage import files, rss_mb, threads
from testbed.clips import read_clip, record
from testbed.rtsp_server import RtspServer
from testbed.service_process import ServiceProcess

CAMERAS, SUBSCRIBERS = 8, 20
SAMPLE_S, TURN_S = 5.0, 60.0
MOST_MB_PER_HOUR = 1.0
FLAT = 0.05
"""Part by which the mean of files, and of threads, of the last third may exceed that of the first, and one more."""
ZONES = [
    {"id": "left", "type": "polygon", "points": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]},
    {"id": "middle", "type": "line", "points": [[0.5, 0], [0.5, 1]]},
]


@dataclass(frozen=True, slots=True)
class Sample:
    """What the service's process holds at one moment."""

    time_s: float
    rss_mb: float
    files: int
    threads: int


def judge(samples: Sequence[Sample], warm_up_s: float) -> dict[str, Any]:
    """Slopes after the warm-up, and what failed of the promises."""
    after = [one for one in samples if one.time_s >= warm_up_s]
    if len(after) < 6:
        return {"failures": [f"only {len(after)} samples after the warm-up"]}
    hours = np.array([one.time_s for one in after]) / 3600
    slope = float(np.polyfit(hours, [one.rss_mb for one in after], 1)[0])
    failures = []
    if slope >= MOST_MB_PER_HOUR:
        failures.append(f"memory grows by {slope:.2f} MB an hour")
    third = len(after) // 3
    for name in ("files", "threads"):
        begin, end = (np.mean([getattr(one, name) for one in part]) for part in (after[:third], after[-third:]))
        if end > begin * (1 + FLAT) + 1:
            failures.append(f"{name} grew from {begin:.1f} to {end:.1f}")
    last = after[-1]
    return {
        "mb_per_hour": round(slope, 2),
        "hours": round(float(np.ptp(hours)), 2),
        **asdict(last),
        "failures": failures,
    }


@contextmanager
def broker(folder: Path) -> Iterator[str | None]:
    """The address of a broker that runs meanwhile; None where none is installed."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    path = "/usr/sbin:/usr/local/sbin:/usr/bin:/bin"
    if mosquitto := shutil.which("mosquitto", path=path):
        (folder / "mosquitto.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
        command, url = [mosquitto, "-c", str(folder / "mosquitto.conf")], f"mqtt://127.0.0.1:{port}"
    elif redis := shutil.which("redis-server", path=path):
        command = [redis, "--port", str(port), "--save", "", "--dir", str(folder)]
        url = f"redis://127.0.0.1:{port}"
    else:
        yield None
        return
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield url
    finally:
        process.kill()
        process.wait()


class Follower(threading.Thread):
    """A subscriber that comes back whenever it is sent away, and counts what it gets."""

    def __init__(self, service: ServiceProcess, stream_id: str) -> None:
        super().__init__(daemon=True)
        self._url, self.messages, self.over = service.tracks(stream_id), 0, threading.Event()
        self.leave = threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            with suppress(WebSocketException, OSError, TimeoutError), connect(self._url) as stream:
                while not self.over.is_set() and not self.leave.is_set():
                    stream.recv(5)
                    self.messages += 1
            self.leave.clear()
            time.sleep(0.5)


def watch(service: ServiceProcess, cameras: list[RtspServer], seconds: float) -> tuple[list[Sample], int]:
    """Let things come and go; what was held at each moment, and how many messages came."""
    pid, begin_s, samples = service.process.pid, time.monotonic(), []
    bodies = [{"id": f"s{i}", "url": camera.url(), "zones": ZONES} for i, camera in enumerate(cameras)]
    with service.http as http:
        for body in bodies:
            http.post("/streams", json=body).raise_for_status()
        followers = [Follower(service, f"s{i % CAMERAS}") for i in range(SUBSCRIBERS)]
        for one in followers:
            one.start()
        turns = itertools.count()
        next_turn_s = begin_s + TURN_S
        while (now_s := time.monotonic()) < begin_s + seconds:
            samples.append(Sample(round(now_s - begin_s, 1), rss_mb(pid), files(pid), threads(pid)))
            if now_s >= next_turn_s:
                next_turn_s += TURN_S
                _turn(next(turns), http, cameras, bodies, followers)
            time.sleep(SAMPLE_S)
        for one in followers:
            one.over.set()
        for one in followers:
            one.join(10)
    return samples, sum(one.messages for one in followers)


def _turn(
    number: int, http: httpx.Client, cameras: list[RtspServer], bodies: list[dict[str, Any]], followers: list[Follower]
) -> None:
    """Two cameras hang up, a stream is removed and added, a subscriber leaves."""
    for which in (number % CAMERAS, (number + 3) % CAMERAS):
        cameras[which].stop()
        time.sleep(1)
        cameras[which].start()
    body = bodies[(number + 5) % CAMERAS]
    http.delete(f"/streams/{body['id']}").raise_for_status()
    http.post("/streams", json=body).raise_for_status()
    followers[number % SUBSCRIBERS].leave.set()


def main() -> int:
    """Run, print, save; 0 when all promises hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--warm-up", type=float, default=600.0, metavar="SECONDS")
    parser.add_argument("--video", default=DRAWN_SCENE, help="the cameras': a file, a MOT folder or synthetic://")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for endurance.json")
    parser.add_argument("service", nargs="*", help="arguments for the service, after --")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        clip = read_clip(record(options.video, folder / "clip.mp4"))
        cameras = [stack.enter_context(RtspServer({"camera": clip})) for _ in range(CAMERAS)]
        sink = stack.enter_context(broker(folder))
        flags = ["--allow-loopback", "--state-dir", str(folder / "state"), "--max-streams", "16", *options.service]
        if sink is not None:
            (folder / "atttrack.toml").write_text(f'sinks = ["{sink}"]\n')
            flags += ["--config", str(folder / "atttrack.toml")]
        service = stack.enter_context(ServiceProcess(folder / "service.log", *flags))
        samples, messages = watch(service, cameras, options.hours * 3600)
    verdict = judge(samples, options.warm_up)
    result = {"conditions": conditions(), "video": options.video, "broker": sink and sink.partition(":")[0]}
    result |= {"cameras": CAMERAS, "subscribers": SUBSCRIBERS, "messages": messages}
    result["samples"] = [asdict(one) for one in samples]
    return save_verdict("endurance", result, verdict, options.output)


if __name__ == "__main__":
    sys.exit(main())
