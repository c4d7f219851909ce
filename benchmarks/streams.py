"""How many cameras does this machine carry? Fresh tracks, no frame lost, found by search.

    python -m benchmarks.streams --size 576x320 --fps 15
    python -m benchmarks.streams --quick

Starts the service as a process of its own and RTSP cameras in another, posts streams, follows each over a WebSocket,
and counts for --seconds after a warm-up. A number of streams is carried when the 95th percentile of the frames' age
(capture to tracks) is at most 100 ms and no frame is missing anywhere. The number is doubled until it is not carried,
then bisected; what fails is tried once more, so that a hiccup of the machine does not decide. Once with the lanes'
keyframes staggered, as the service does it, and once with all of them in the same tick. Cameras and subscribers work
on the same machine, as decoding does.
"""

import argparse
import asyncio
import multiprocessing
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.request import Request, urlopen

from benchmarks.conditions import RESULTS, conditions, save
from benchmarks.soak import post_stream, record_clip, running_service
from benchmarks.stream_probe import Probe, follow, judge
from edge.pipeline.backend import SHIPPED_MODELS
from edge.pipeline.config import parse_size
from edge.pipeline.schedule import KeyframeSchedule, LaneState
from service.__main__ import serve
from service.configuration import read_settings
from tests.support.clips import read_clip
from tests.support.rtsp_server import RtspServer

Phases = Literal["staggered", "aligned"]
ATTEMPTS = 2
"""A number of streams is not carried when it fails so often."""


def search(carries: Callable[[int], bool], most: int) -> int:
    """The largest number up to `most` that is carried, by doubling and then halving the interval; 0 for none."""
    good, bad = 0, 1
    while bad <= most and carries(bad):
        good, bad = bad, min(2 * bad, most) if bad < most else most + 1
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if carries(middle) else (good, middle)
    return good


def measure(options: argparse.Namespace, phases: Phases) -> tuple[int, list[Probe]]:
    """Streams carried, and every probe on the way there."""
    probes: list[Probe] = []
    module = "service" if phases == "staggered" else "benchmarks.streams"
    with tempfile.TemporaryDirectory() as folder:
        clip = record_clip(options.video, Path(folder) / "clip.mp4")
        width, height = options.size
        service = ["--size", f"{width}x{height}", "-k", str(options.k), "--max-streams", str(options.most)]
        service += ["--models", str(options.models), "--pair", options.pair, "--device", options.device]
        log = Path(folder) / "service.log"
        with cameras(clip, options.most) as urls, running_service(log, service, module) as (_, base):
            posted: list[str] = []

            def carries(count: int) -> bool:
                while len(posted) < count:
                    posted.append(post_stream(base, urls[len(posted)]))
                while len(posted) > count:
                    remove(base, posted.pop())
                for _ in range(ATTEMPTS):
                    seen = asyncio.run(follow(base, posted, options.warm_up, options.seconds))
                    probes.append(judge(seen, options.fps, options.seconds))
                    print(f"{phases}: {probes[-1]}", flush=True)
                    if probes[-1].carried:
                        return True
                return False

            return search(carries, options.most), probes


@contextmanager
def cameras(clip: Path, count: int) -> Iterator[list[str]]:
    """Cameras in a process of their own, so that they take no time from the subscribers' interpreter; their URLs."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=film, args=(clip, count, theirs), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send("stop")
        process.join(10)


def film(clip: Path, count: int, pipe: Connection) -> None:
    """Be `count` cameras that show one clip, each from the moment in which somebody connects, until told to stop."""
    shown = read_clip(clip)
    with RtspServer({f"camera{number}": shown for number in range(count)}) as server:
        pipe.send([server.url(f"camera{number}") for number in range(count)])
        pipe.recv()


def remove(base: str, stream_id: str) -> None:
    """DELETE /streams/{id}."""
    with urlopen(Request(f"{base}/streams/{stream_id}", method="DELETE"), timeout=30):  # noqa: S310  (our own http URL)
        pass


def serve_aligned(arguments: list[str]) -> None:
    """Be the service, but for the phases: a new lane has its keyframes together with the most others."""

    def busiest(self: KeyframeSchedule, new: LaneState) -> int:
        others = [due for lane_id, due in self._due.items() if lane_id != new.lane_id]
        load = [sum(tick >= due and (tick - due) % k == 0 for due, k in others) for tick in range(new.k + 1)]
        return max(range(1, new.k + 1), key=lambda tick: (load[tick], tick))

    setattr(KeyframeSchedule, "_calmest", busiest)  # noqa: B010  (this process measures what the real one avoids)
    serve(read_settings(arguments))


def main(arguments: Sequence[str] | None = None) -> int:
    """Search, print, save."""
    options = _options(arguments)
    width, height = options.size
    result: dict[str, Any] = {"conditions": conditions(options.models.glob(f"{options.pair}-*-{width}x{height}.onnx"))}
    result |= {name: getattr(options, name) for name in ("video", "fps", "k", "device", "warm_up", "seconds", "most")}
    result["size"] = f"{width}x{height}"
    for phases in options.phases:
        carried, probes = measure(options, phases)
        result[phases] = {"carried": carried, "probes": [asdict(probe) for probe in probes]}
        limit = ", the most that was asked for" if carried == options.most else ""
        print(f"{phases}: {carried} streams at {options.fps:g} frames/s are carried{limit}")
    path = save(options.name or f"streams-{width}x{height}", result, options.output)
    print(f"saved {path}")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.streams", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=parse_size, default=(576, 320), metavar="WxH", help="of the networks' input")
    parser.add_argument("--fps", type=float, default=15.0, help="frames per second of each camera (default 15)")
    parser.add_argument("--video", help="what the cameras show, at --fps; default a drawn scene, 1280x720, 20 people")
    parser.add_argument("--k", type=int, default=6, help="keyframe period (default 6)")
    parser.add_argument("--most", type=int, default=32, help="streams to try at most (default 32)")
    parser.add_argument("--seconds", type=float, default=15.0, help="of counting, per probe (default 15)")
    parser.add_argument("--warm-up", type=float, default=5.0, help="seconds before (default 5)")
    parser.add_argument("--phases", nargs="+", choices=get_args(Phases), default=get_args(Phases))
    parser.add_argument("--models", type=Path, default=SHIPPED_MODELS, metavar="DIR")
    parser.add_argument("--pair", default="yolo")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for the result")
    parser.add_argument("--name", help="of the result (default streams-WxH)")
    parser.add_argument("--quick", action="store_true", help="does it work? at most two streams, a second each")
    options = parser.parse_args(arguments)
    if options.quick:
        options.most, options.seconds, options.warm_up = 2, 1.0, 0.5
        options.name = options.name or "streams-quick"
    if options.most < 1 or options.fps <= 0 or options.seconds <= 0:
        parser.error("--most must be at least 1, --fps and --seconds above 0")
    options.video = options.video or f"synthetic://?width=1280&height=720&people=20&fps={options.fps:g}"
    return options


if __name__ == "__main__":
    if "--port" in sys.argv:
        serve_aligned(sys.argv[1:])
    sys.exit(main())
