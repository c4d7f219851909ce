"""Waiting for what has no event to wait for: another process, a page, a number of the interface."""

import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

import httpx


def wait_until(condition: Callable[[], Any], timeout_s: float, what: str) -> None:
    """Ask again and again until `condition` is truthy; else tell what each thread does meanwhile."""
    began, asked = time.monotonic(), 0
    while not condition():
        asked += 1
        if time.monotonic() > began + timeout_s:
            raise AssertionError(f"waited {timeout_s:g} s in vain for {what}, asking {asked} times\n{_threads()}")
        time.sleep(0.03)


def _threads() -> str:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return "\n".join(
        f"{names.get(ident, '?')}:\n{''.join(traceback.format_stack(frame, 5)).rstrip()}"
        for ident, frame in sys._current_frames().items()
    )


def wait_for_phase(http: httpx.Client, stream_id: str, phase: str, timeout_s: float = 15.0) -> dict[str, Any]:
    """Poll a stream until it is in `phase`; return its state. A stream that this machine is too slow for runs, too."""
    wanted = ("running", "degraded") if phase == "running" else (phase,)
    state: dict[str, Any] = {}

    def reached() -> bool:
        state.update(http.get(f"/streams/{stream_id}").json()["state"])
        return state["phase"] in wanted

    wait_until(reached, timeout_s, f"{stream_id} to be {phase}")
    return state
