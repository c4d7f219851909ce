"""A node without networks, as a program: its streams publish and count by themselves.

python fake_node.py nats://127.0.0.1:4222[,MORE] NAME
"""

import asyncio
import json
import signal
import sys
import threading
import time
from typing import Any

from service.cluster.bus import Bus, BusAddress, BusAway
from service.cluster.control import Control
from service.cluster.counts import LeasedCounts
from service.cluster.subjects import SiteSubjects
from service.streams.spec import StreamSpec

PERIOD_S = 0.05


def message(stream_id: str, run: int, seq: int, counted: int) -> bytes:
    """A track message of no people, which tells what was counted in its `frame_id`."""
    body = {
        "schema": "tracks/1", "stream_id": stream_id, "run": f"{run:x}", "epoch": 1, "seq": seq, "frame_id": counted,
        "ts_capture": round(time.time(), 6), "tracks": [], "events": [], "gap": 0,
    }  # fmt: skip
    return json.dumps(body, separators=(",", ":")).encode()


class FakeRunner:
    """Implements `service.cluster.control.StreamRunner`."""

    def __init__(self, counts: LeasedCounts, capacity: int = 100) -> None:
        self.counts, self.capacity = counts, capacity
        self.running: dict[str, list[int]] = {}
        """Stream -> run, seq."""
        self.adopted: list[tuple[str, int]] = []
        self.changed: list[str] = []
        self.removed: list[str] = []
        self.lock = threading.Lock()

    async def adopt(self, spec: StreamSpec, created_at: float, run: int) -> None:
        with self.lock:
            self.adopted.append((spec.id, run))
            self.running[spec.id] = [run, 0]

    async def change(self, spec: StreamSpec) -> None:
        self.changed.append(spec.name)

    async def release(self, stream_id: str, *, removed: bool) -> None:
        with self.lock:
            self.running.pop(stream_id, None)
        if removed:
            self.removed.append(stream_id)

    def offer(self) -> dict[str, Any]:
        return {"capacity": self.capacity}

    def tick(self) -> list[tuple[str, bytes]]:
        """Count one in each stream, and return what they publish."""
        with self.lock:
            sent = []
            for stream_id, state in self.running.items():
                state[1] += 1
                counted = self.counts.counts(stream_id).get("n", 0) + 1
                self.counts.put_counts(stream_id, {"n": counted})
                sent.append((stream_id, message(stream_id, *state, counted)))
            return sent


async def main(url: str, name: str) -> None:
    address = BusAddress.parse(url.split(","), name)
    counts = LeasedCounts()
    runner = FakeRunner(counts)
    control = Control(address, "main", name, runner, counts)
    bus, subjects = Bus(address), SiteSubjects("main")
    tasks = [asyncio.create_task(bus.run())]
    control.start()
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    print("started", flush=True)
    while not ending.is_set():
        for stream_id, payload in runner.tick():
            try:
                await bus.publish(subjects.tracks(name, stream_id), payload)
            except BusAway:
                pass
        await asyncio.sleep(PERIOD_S)
    await asyncio.to_thread(control.leave)
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
