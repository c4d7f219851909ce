"""A looping camera whose student learns while it runs: is a frame missed, an identity lost, does memory grow?

    atttrack bench adaptation --minutes 120 --video street.mp4
    atttrack bench adaptation --minutes 10 --rounds 3 --swap 20

Two streams of one camera in one service: `adapts`, and `control`, which does not. What happens to both is the machine's
doing; what happens to `adapts` alone is live adaptation's. --swap goes back and forth between students, once there are
two, so that there are more change-overs to look at. Exit code 1 where one of the promises is broken.
"""

import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.command import command, one_line
from benchmarks.conditions import RESULTS, conditions, save_verdict
from benchmarks.load.listener import Listener
from benchmarks.load.soak import DRAWN_SCENE
from benchmarks.load.usage import Held, rss_mb
from testbed.clips import read_clip, record
from testbed.rtsp_server import RtspServer
from testbed.service_process import ServiceProcess

STREAMS = ("adapts", "control")
AROUND = 12
"""Frames before and after a change-over that count as around it: two keyframe periods."""
CHANGES = ("student_adapted", "student_reverted")
MAX_GROWTH_MB, MAX_MORE_MISSED = 5.0, 0.005
"""Between the tenths at the ends of the settled part; share of frames missed beyond the control's."""
CHANCE = 2.0
"""Standard deviations (of a Poisson distribution) by which people lost at change-overs may exceed what is usual."""


@dataclass(slots=True)
class Log:
    """What was heard of one stream, message by message."""

    times_s: list[float] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    people: list[frozenset[str]] = field(default_factory=list)
    """Who is in the frame, seen by a network."""
    changes: list[int] = field(default_factory=list)
    """Messages with a change-over, by their place."""
    decisions: list[dict[str, Any]] = field(default_factory=list)

    def hear(self, message: Mapping[str, Any]) -> None:
        """Take a message in."""
        for event in message["events"]:
            if str(event["type"]).startswith(("student_", "adaptation_")):
                self.decisions.append(event)
                self.changes += [len(self.frames)] if event["type"] in CHANGES else []
        self.times_s.append(time.monotonic())
        self.frames.append(message["frame_id"])
        self.people.append(frozenset(one["uid"] for one in message["tracks"] if not one["unseen"]))

    def missed(self, first: int = 0, last: int | None = None) -> int:
        """Frames that have no message between two places."""
        steps = np.diff(self.frames[max(first, 0) : last])
        return int((steps[steps > 0] - 1).sum())

    def lost(self, place: int) -> int:
        """People before a place who are in none of the next frames."""
        before = self.people[place - 1] if place else frozenset[str]()
        return len(before.difference(*self.people[place : place + AROUND]))

    def usually_lost(self) -> float:
        """The same at a frame without a change-over near, on average: people leave, and hide."""
        near = {place + step for place in self.changes for step in range(-AROUND, AROUND)}
        places = [place for place in range(len(self.frames) - AROUND) if place not in near]
        return float(np.mean([self.lost(place) for place in places])) if places else 0.0

    def at(self, time_s: float) -> int:
        """The place of the first message after a moment."""
        return int(np.searchsorted(self.times_s, time_s))


def judge(
    logs: Mapping[str, Log], samples: Sequence[Held], loaded: Sequence[int], learning_s: Sequence[float]
) -> dict[str, Any]:
    """What was promised, and whether it was kept.

    loaded: students in memory besides the pair's, of which each takes its own; growth counts while they are as many as
    in the end. learning_s: moments at which a round was under way.
    """
    adapts, control = (logs[name] for name in STREAMS)
    heard = {name: len(log.frames) for name, log in logs.items()}
    if min(heard.values()) < 2 * AROUND:
        raise ValueError("hardly any tracks came: see the service's log")
    share = {name: log.missed() / (log.missed() + len(log.frames)) for name, log in logs.items()}
    near = {"missed": 0, "missed_control": 0, "lost": 0, "lost_control": 0}
    for place in adapts.changes:
        there = control.at(adapts.times_s[min(place, len(adapts.times_s) - 1)])
        near["missed"] += adapts.missed(place - AROUND, place + AROUND)
        near["missed_control"] += control.missed(there - AROUND, there + AROUND)
        near["lost"] += adapts.lost(place)
        near["lost_control"] += control.lost(there)
    usual = max(adapts.usually_lost() * len(adapts.changes), near["lost_control"])
    failures = []
    if share["adapts"] > share["control"] + MAX_MORE_MISSED:
        failures.append(f"{share['adapts']:.2%} of the frames were missed, of the control {share['control']:.2%}")
    if near["lost"] > usual + CHANCE * (usual**0.5 + 1):
        failures.append(f"{near['lost']} people were lost at change-overs, {usual:.1f} are without one")
    settled = [sample for sample, count in zip(samples, loaded, strict=True) if count == loaded[-1]]
    settled = settled[len(settled) // 3 :]  # by then the sample is full, and the allocator has settled
    tenth = max(1, len(settled) // 10)
    start, end = (float(np.median([one.rss_mb for one in part])) for part in (settled[:tenth], settled[-tenth:]))
    if end - start >= MAX_GROWTH_MB:
        failures.append(f"memory grew by {end - start:.1f} MB, allowed are {MAX_GROWTH_MB:g}")
    return {
        "frames": heard,
        "missed": {name: log.missed() for name, log in logs.items()},
        "change_overs": len(adapts.changes),
        "around_change_overs": near | {"lost_usually": round(usual, 1)},
        "decisions": [event["type"] for event in adapts.decisions],
        "memory_start_mb": round(start, 1),
        "memory_end_mb": round(end, 1),
        "learning_s": len(learning_s),
        "failures": failures,
    }


def watch(
    service: ServiceProcess, camera: RtspServer, seconds: float, swap_s: float | None
) -> tuple[dict[str, Log], list[Held], list[int], list[float], float, list[dict[str, Any]]]:
    """Logs, memory of the service, students in it, moments of learning, most memory of a round, and what each round
    came to."""
    logs = {name: Log() for name in STREAMS}
    samples: list[Held] = []
    loaded: list[int] = []
    learning: list[float] = []
    rounds: list[dict[str, Any]] = []
    most_mb, chance = 0.0, np.random.default_rng(0)
    with service.http as http, ExitStack() as subscribed:
        for name in STREAMS:
            body = {"id": name, "url": camera.url(), "adapt": name == "adapts"}
            http.post("/streams", json=body).raise_for_status()
        begin_s = time.monotonic()
        for name, log in logs.items():
            subscribed.enter_context(Listener(service.tracks(name), begin_s, False, log.hear))
        for second in tqdm(range(round(seconds)), unit="s", desc="adaptation", disable=None):
            samples.append(Held.of(service.process.pid, begin_s))
            found = http.get("/streams/adapts").raise_for_status().json()["adaptation"]
            loaded.append(len({found["student"], found["before"]} - {0, None}))
            if found["phase"] == "learning":
                learning.append(samples[-1].time_s)
                most_mb = max(most_mb, children_mb(service.process.pid))
            if found["last"] is not None and found["rounds"] > len(rounds):
                rounds.append(found["last"])
            if swap_s and found["before"] is not None and chance.random() < 1 / swap_s:  # in no step with the film
                http.post("/streams/adapts/adaptation", json={"student": "before"}).raise_for_status()
            time.sleep(max(0.0, begin_s + second + 1 - time.monotonic()))
    return logs, samples, loaded, learning, most_mb, rounds


def children_mb(pid: int) -> float:
    """Resident memory of the round under way: the Python programs below a process and theirs."""
    total = 0.0
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, path.read_text().split()):
                if b"export.adapt" in Path(f"/proc/{child}/cmdline").read_bytes():
                    total += rss_mb(child) + children_mb(child)
    return total


@one_line("adaptation")
def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, save; 0 when all promises hold."""
    parser = command("adaptation", __doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long")
    parser.add_argument("--rounds", type=float, default=4.0, help="of learning for which there shall be time")
    parser.add_argument(
        "--swap", type=float, metavar="SECONDS", help="between two change-overs by hand, on average (default: none)"
    )
    parser.add_argument("--share", type=float, default=0.25, help="of the processors, for learning")
    parser.add_argument("--video", default=DRAWN_SCENE, help="the camera's: a file, a MOT folder or synthetic://")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for adaptation.json")
    parser.add_argument("service", nargs="*", help="arguments for the service, after --")
    options = parser.parse_args(arguments)
    each_min = options.minutes / options.rounds
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        clip = read_clip(record(options.video, folder / "clip.mp4"))
        camera = stack.enter_context(RtspServer({"camera": clip}))
        flags = ["--allow-loopback", "--state-dir", f"{folder}/state", "--adapt-share", f"{options.share}"]
        flags += ["--adapt-every-min", f"{each_min / 2}", "--adapt-minutes", f"{each_min / 2}", "--adapt-mb", "16"]
        service = stack.enter_context(ServiceProcess(folder / "service.log", *flags, *options.service))
        logs, samples, loaded, learning, most_mb, rounds = watch(service, camera, 60 * options.minutes, options.swap)
    verdict = judge(logs, samples, loaded, learning) | {"round_most_mb": round(most_mb, 1)}
    result = {"conditions": conditions(), "video": options.video, "service": options.service, "rounds": rounds}
    result |= {"share": options.share, "rss_mb": [one.rss_mb for one in samples]}
    return save_verdict("adaptation", result, verdict, options.output)


if __name__ == "__main__":
    sys.exit(main())
