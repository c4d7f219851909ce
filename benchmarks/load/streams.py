"""How many cameras does this machine carry? Fresh tracks, no frame lost, found by search.

    atttrack bench streams --size 576x320 --fps 15
    atttrack bench streams --quick

Starts the service as a process of its own and RTSP cameras in another, posts streams, follows each over a WebSocket,
and counts for --seconds after a warm-up. A number of streams is carried when the 95th percentile of the frames' age
(capture to tracks) is at most 100 ms and no frame is missing anywhere. The number is doubled until it is not carried,
then bisected; what fails is tried once more, so that a hiccup of the machine does not decide. Cameras and subscribers
work on the same machine, as decoding does.
"""

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.command import about, add_networks, command
from benchmarks.conditions import RESULTS, percentiles, save
from benchmarks.load.listener import Arrival, Listener
from engines.signature import size_name
from testbed.clips import read_clip, record
from testbed.rtsp_server import RtspServer
from testbed.service_process import ServiceProcess

ATTEMPTS = 2
"""A number of streams is not carried when it fails so often."""
MAX_AGE_P95_MS = 100.0
LEAST_SHARE = 0.99
"""Of the frames that cameras send in the time; the count starts and ends between two frames."""
FIRST_MESSAGE_S = 60.0


@dataclass(frozen=True, slots=True)
class Probe:
    """What a number of streams looked like."""

    streams: int
    messages: int
    missing: int
    """Holes in the frames' numbers, over all streams."""
    share: float
    """Messages that came over frames that the cameras sent."""
    age_ms: dict[str, dict[str, float]]
    """Kind of frame, or `all` -> percentiles."""
    failures: list[str]

    @property
    def carried(self) -> bool:
        """Whether nothing failed."""
        return not self.failures

    def __str__(self) -> str:
        ages = "; ".join(
            f"{kind} {a['p50']:.0f}/{a['p95']:.0f}/{a['p99']:.0f}" for kind, a in sorted(self.age_ms.items())
        )
        verdict = "carried" if self.carried else "NOT carried: " + ", ".join(self.failures)
        return f"{self.streams} streams, age p50/p95/p99 ms: {ages or 'none'}; {verdict}"


def judge(seen: Sequence[Sequence[Arrival]], fps: float, seconds: float) -> Probe:
    """One sequence of messages per stream, in the order of arrival."""
    every = [message for one in seen for message in one]
    missing = sum(one[-1].frame_id - one[0].frame_id + 1 - len(one) for one in seen if one)
    share = len(every) / max(len(seen) * fps * seconds, 1e-9)
    ages: dict[str, dict[str, float]] = {}
    for kind in ("all", *dict.fromkeys(message.kind for message in every)) if every else ():
        values = [message.age_ms for message in every if kind in ("all", message.kind)]
        ages[kind] = percentiles(values) | {"count": len(values)}
    failures = []
    if silent := sum(not one for one in seen):
        failures.append(f"{silent} streams gave nothing")
    if missing:
        failures.append(f"{missing} frames missing")
    if share < LEAST_SHARE * (1 - 1 / max(fps * seconds, 1)):
        failures.append(f"{share:.1%} of the frames came")
    if ages and ages["all"]["p95"] > MAX_AGE_P95_MS:
        failures.append(f"p95 age {ages['all']['p95']:.0f} ms")
    return Probe(len(seen), len(every), missing, round(share, 4), ages, failures)


def follow(urls: Sequence[str], warm_up_s: float, seconds: float) -> list[list[Arrival]]:
    """What came over each WebSocket in `seconds`, from `warm_up_s` after the last of them gave its first message.

    A stream that gives nothing for FIRST_MESSAGE_S has none.
    """
    with ExitStack() as stack:
        listeners = [stack.enter_context(Listener(url, 0.0)) for url in urls]
        patience_s = time.monotonic() + FIRST_MESSAGE_S
        while not all(one.messages for one in listeners) and time.monotonic() < patience_s:
            time.sleep(0.05)
        begin_s = time.monotonic() + warm_up_s
        time.sleep(warm_up_s + seconds)
    return [[one for one in each.arrivals if 0 <= one.time_s - begin_s < seconds] for each in listeners]


def search(carries: Callable[[int], bool], most: int) -> int:
    """The largest number up to `most` that is carried, by doubling and then halving the interval; 0 for none."""
    good, bad = 0, 1
    while bad <= most and carries(bad):
        good, bad = bad, min(2 * bad, most) if bad < most else most + 1
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if carries(middle) else (good, middle)
    return good


def measure(options: argparse.Namespace) -> tuple[int, list[Probe]]:
    """Streams carried, and every probe on the way there."""
    probes: list[Probe] = []
    with tempfile.TemporaryDirectory() as folder:
        clip = record(options.video, Path(folder) / "clip.mp4")
        flags = ["--size", size_name(options.size), "--k", str(options.k), "--max-streams", str(options.most)]
        flags += ["--models", str(options.models), "--pair", options.pair, "--device", options.device]
        flags += ["--allow-loopback", "--state-dir", f"{folder}/state"]
        log = Path(folder) / "service.log"
        with cameras(clip, options.most) as urls, ServiceProcess(log, *flags) as service:
            posted: list[str] = []

            def carries(count: int) -> bool:
                while len(posted) < count:
                    posted.append(service.add(urls[len(posted)]))
                while len(posted) > count:
                    service.remove(posted.pop())
                for _ in range(ATTEMPTS):
                    seen = follow([*map(service.tracks, posted)], options.warm_up, options.seconds)
                    probes.append(judge(seen, options.fps, options.seconds))
                    print(probes[-1], flush=True)
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Search, print, save."""
    options = _options(arguments)
    result: dict[str, Any] = {"conditions": about(options)["conditions"], "size": size_name(options.size)}
    result |= {name: getattr(options, name) for name in ("video", "fps", "k", "device", "warm_up", "seconds", "most")}
    carried, probes = measure(options)
    limit = ", the most that was asked for" if carried == options.most else ""
    print(f"{carried} streams at {options.fps:g} frames/s are carried{limit}")
    result |= {"carried": carried, "probes": [asdict(probe) for probe in probes]}
    print(f"saved {save(options.name or f'streams-{size_name(options.size)}', result, options.output)}")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = command("streams", __doc__)
    add_networks(parser)
    parser.add_argument("--fps", type=float, default=15.0, help="frames per second of each camera")
    parser.add_argument("--video", help="what the cameras show, at --fps; default a drawn scene, 1280x720, 20 people")
    parser.add_argument("--k", type=int, default=6, help="keyframe period")
    parser.add_argument("--most", type=int, default=32, help="streams to try at most")
    parser.add_argument("--seconds", type=float, default=15.0, help="of counting, per probe")
    parser.add_argument("--warm-up", type=float, default=5.0, help="seconds before")
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
    sys.exit(main())
