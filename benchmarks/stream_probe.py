"""Follow some streams of a running service for a while, and judge whether it carries them."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from websockets.asyncio.client import connect

MAX_AGE_P95_MS = 100.0
LEAST_SHARE = 0.99
"""Of the frames that cameras send in the time; the count starts and ends between two frames."""
FIRST_MESSAGE_S = 60.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One frame's message."""

    frame_id: int
    kind: str
    age_ms: float
    """From capture to tracks, ts_out - ts_capture."""


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


def judge(seen: Sequence[Sequence[Seen]], fps: float, seconds: float) -> Probe:
    """One sequence of messages per stream, in the order of arrival."""
    messages = sum(map(len, seen))
    missing = sum(one[-1].frame_id - one[0].frame_id + 1 - len(one) for one in seen if one)
    share = messages / max(len(seen) * fps * seconds, 1e-9)
    every = [message for one in seen for message in one]
    kinds = {"all": every} | {
        kind: [m for m in every if m.kind == kind] for kind in dict.fromkeys(m.kind for m in every)
    }
    ages = {kind: _percentiles([m.age_ms for m in some]) for kind, some in kinds.items() if some}
    failures = []
    if silent := sum(not one for one in seen):
        failures.append(f"{silent} streams gave nothing")
    if missing:
        failures.append(f"{missing} frames missing")
    if share < LEAST_SHARE * (1 - 1 / max(fps * seconds, 1)):
        failures.append(f"{share:.1%} of the frames came")
    if ages and ages["all"]["p95"] > MAX_AGE_P95_MS:
        failures.append(f"p95 age {ages['all']['p95']:.0f} ms")
    return Probe(len(seen), messages, missing, round(share, 4), ages, failures)


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    p50, p95, p99 = (round(value, 2) for value in np.percentile(values, (50, 95, 99)).tolist())
    return {"p50": p50, "p95": p95, "p99": p99, "count": len(values)}


async def follow(base: str, streams: Sequence[str], warm_up_s: float, seconds: float) -> list[list[Seen]]:
    """Messages of each stream that came in `seconds`, from `warm_up_s` after the last of them gave its first one.

    A stream that gives nothing for FIRST_MESSAGE_S has none.
    """
    begin: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    waiting = {*streams}

    def started(stream: str) -> None:
        waiting.discard(stream)
        if not waiting and not begin.done():
            begin.set_result(time.monotonic() + warm_up_s)

    tasks = [asyncio.create_task(_follow_one(base, stream, started, begin, seconds)) for stream in streams]
    try:
        await asyncio.wait_for(asyncio.shield(begin), FIRST_MESSAGE_S)
    except TimeoutError:
        begin.set_result(time.monotonic() + warm_up_s)
    return list(await asyncio.gather(*tasks))


async def _follow_one(
    base: str, stream: str, started: Callable[[str], None], begin: asyncio.Future[float], seconds: float
) -> list[Seen]:
    seen: list[Seen] = []
    async with connect(f"{base.replace('http', 'ws', 1)}/streams/{stream}/tracks", max_size=None) as socket:
        while not begin.done() or time.monotonic() < begin.result() + seconds:
            try:
                message = json.loads(await asyncio.wait_for(socket.recv(), 1.0))
            except TimeoutError:
                continue
            started(stream)
            if begin.done() and begin.result() <= time.monotonic() < begin.result() + seconds:
                age_ms = 1e3 * (message["ts_out"] - message["ts_capture"])
                seen.append(Seen(message["frame_id"], message["kind"], age_ms))
    return seen
