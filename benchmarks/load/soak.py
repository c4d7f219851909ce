"""Minutes of one camera, or hours of many that come and go: is memory flat, and are tracks fresh?

    atttrack bench soak --minutes 10 --video street.mp4
    atttrack bench soak --hours 1

Starts looping RTSP cameras and the service as a process of its own, posts the streams, subscribes, and watches.
--minutes: one camera, one subscriber; memory may grow by 5 MB, tracks may be 150 ms old (p95). --hours: eight cameras
with zones, of which two hang up and one is removed and added again, every --turn seconds; twenty subscribers, one of
whom leaves; and NATS as a broker. Memory may grow by 1 MB an hour. Exit code 1 when more grows.
"""

import math
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from tqdm import tqdm

from benchmarks.command import command, one_line
from benchmarks.conditions import RESULTS, conditions, percentiles, save_verdict
from benchmarks.load.listener import Arrival, Listener
from benchmarks.load.usage import Held, more
from testbed.clips import read_clip, record
from testbed.fleet import nats_server
from testbed.rtsp_server import RtspServer
from testbed.service_process import ServiceProcess

DRAWN_SCENE = "synthetic://?width=1280&height=720&people=20&fps=25"
CAMERAS, SUBSCRIBERS = 8, 20
WARM_UP_S = {"minutes": 60.0, "hours": 600.0}
"""Buffers, caches and the allocator settle; growth counts from here."""
MAX_GROWTH_MB, MAX_AGE_P95_MS, MAX_MB_PER_HOUR = 5.0, 150.0, 1.0
ZONES = [
    {"id": "left", "type": "polygon", "points": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]},
    {"id": "middle", "type": "line", "points": [[0.5, 0], [0.5, 1]]},
]


def judge(samples: Sequence[Held], arrivals: Sequence[Arrival], warm_up_s: float) -> dict[str, Any]:
    """What grew after the warm-up, by the promises for minutes where there are arrivals, else by those for hours.

    Raises ValueError when the run is no longer than the warm-up.
    """
    samples = [one for one in samples if one.time_s >= warm_up_s]
    if len(samples) < 6:
        raise ValueError(f"nothing measured after the warm-up of {warm_up_s:g} s: run longer, or see the service's log")
    hours = np.array([one.time_s for one in samples]) / 3600
    slope = float(np.polyfit(hours, [one.rss_mb for one in samples], 1)[0])
    tenth = math.ceil(len(samples) / 10)
    start, end = (float(np.median([one.rss_mb for one in part])) for part in (samples[:tenth], samples[-tenth:]))
    failures = more(samples)
    if arrivals and end - start >= MAX_GROWTH_MB:
        failures.append(f"memory grew by {end - start:.1f} MB, allowed are {MAX_GROWTH_MB:g}")
    if not arrivals and slope >= MAX_MB_PER_HOUR:
        failures.append(f"memory grows by {slope:.2f} MB an hour, allowed are {MAX_MB_PER_HOUR:g}")
    verdict = {"minutes": round(float(np.ptp(hours)) * 60, 2), "mb_per_hour": round(slope, 2)}
    verdict |= {"memory_start_mb": round(start, 1), "memory_end_mb": round(end, 1), "growth_mb": round(end - start, 2)}
    if arrivals:
        verdict |= _freshness([one for one in arrivals if one.time_s >= warm_up_s])
        if verdict["age_p95_ms"] >= MAX_AGE_P95_MS:
            failures.append(f"tracks are {verdict['age_p95_ms']:.0f} ms old (p95), allowed are {MAX_AGE_P95_MS:g}")
    return verdict | {"failures": failures}


def _freshness(arrivals: Sequence[Arrival]) -> dict[str, float]:
    if len(arrivals) < 2:
        raise ValueError("no tracks came after the warm-up: see the service's log")
    seconds = arrivals[-1].time_s - arrivals[0].time_s
    return {
        "messages_per_s": round((len(arrivals) - 1) / seconds, 2),
        **{f"age_{name}_ms": value for name, value in percentiles([one.age_ms for one in arrivals]).items()},
        "delivered_p95_ms": round(float(np.percentile([one.delivered_ms for one in arrivals], 95)), 1),
        "frames_skipped": arrivals[-1].frame_id - arrivals[0].frame_id + 1 - len(arrivals),
        "messages_lost": sum(one.gap for one in arrivals),
        "people": round(float(np.mean([one.people for one in arrivals])), 1),
    }


def watch(
    service: ServiceProcess, cameras: Sequence[RtspServer], seconds: float, turn_s: float | None
) -> tuple[list[Held], list[Listener]]:
    """What the service held at each moment, and its subscribers; `turn_s`: how often things come and go, if at all."""
    bodies = [{"id": f"s{i}", "url": one.url(), "zones": ZONES if turn_s else []} for i, one in enumerate(cameras)]
    samples: list[Held] = []
    with service.http as http, ExitStack() as subscribed:
        for body in bodies:
            http.post("/streams", json=body).raise_for_status()
        begin_s = time.monotonic()
        urls = [service.tracks(f"s{i % len(cameras)}") for i in range(SUBSCRIBERS if turn_s else 1)]
        listeners = [subscribed.enter_context(Listener(url, begin_s, not turn_s)) for url in urls]
        for second in tqdm(range(round(seconds)), unit="s", desc="soak", disable=None):
            samples.append(Held.of(service.process.pid, begin_s))
            if turn_s and second and second % turn_s == 0:
                _turn(round(second / turn_s), http, cameras, bodies, listeners)
            time.sleep(max(0.0, begin_s + second + 1 - time.monotonic()))
    return samples, listeners


def _turn(
    number: int,
    http: httpx.Client,
    cameras: Sequence[RtspServer],
    bodies: Sequence[dict[str, Any]],
    listeners: Sequence[Listener],
) -> None:
    """Two cameras hang up, a stream is removed and added, a subscriber leaves."""
    for which in (number, number + 3):
        cameras[which % len(cameras)].stop()
        time.sleep(1)
        cameras[which % len(cameras)].start()
    body = bodies[(number + 5) % len(bodies)]
    http.delete(f"/streams/{body['id']}").raise_for_status()
    http.post("/streams", json=body).raise_for_status()
    listeners[number % len(listeners)].leave()


@one_line("soak")
def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, save; 0 when all promises hold."""
    parser = command("soak", __doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="of one camera")
    parser.add_argument("--hours", type=float, help="of many that come and go, instead (default: none)")
    parser.add_argument("--turn", type=int, default=60, metavar="SECONDS", help="with --hours: how often they do")
    parser.add_argument("--warm-up", type=float, metavar="SECONDS", help="that do not count (default 60; hours: 600)")
    parser.add_argument("--video", default=DRAWN_SCENE, help="the cameras': a file, a MOT folder or synthetic://")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for soak.json, or soak-hours.json")
    parser.add_argument("service", nargs="*", help="arguments for the service, after --")
    options = parser.parse_args(arguments)
    many = options.hours is not None
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        clip = read_clip(record(options.video, folder / "clip.mp4"))
        cameras = [stack.enter_context(RtspServer({"camera": clip})) for _ in range(CAMERAS if many else 1)]
        flags = ["--allow-loopback", "--state-dir", f"{folder}/state", "--max-streams", "16", *options.service]
        sink = stack.enter_context(nats_server(folder / "nats")) if many else None
        if sink is not None:
            (folder / "atttrack.toml").write_text(f'sinks = ["{sink}"]\n')
            flags += ["--config", f"{folder}/atttrack.toml"]
        service = stack.enter_context(ServiceProcess(folder / "service.log", *flags))
        samples, listeners = watch(
            service,
            cameras,
            60 * options.minutes if options.hours is None else 3600 * options.hours,
            options.turn if many else None,
        )
    warm_up_s = options.warm_up if options.warm_up is not None else WARM_UP_S["hours" if many else "minutes"]
    verdict = judge(samples, listeners[0].arrivals, warm_up_s)
    result = {"conditions": conditions(), "video": options.video, "service": options.service}
    result |= {"cameras": len(cameras), "subscribers": len(listeners), "clock": listeners[0].clock}
    result |= {"broker": sink and sink.partition(":")[0], "messages": sum(one.messages for one in listeners)}
    result["samples" if many else "rss_mb"] = [asdict(one) if many else one.rss_mb for one in samples]
    return save_verdict("soak-hours" if many else "soak", result, verdict, options.output)


if __name__ == "__main__":
    sys.exit(main())
