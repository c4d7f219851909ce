"""Waiting for what has no event to wait for: another process, a page, a number of the interface."""

import time
from collections.abc import Callable
from typing import Any

import httpx


def wait_until(condition: Callable[[], Any], timeout_s: float, what: str) -> None:
    """Ask again and again until `condition` is truthy."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s:g} s in vain for {what}"
        time.sleep(0.03)


def wait_for_phase(http: httpx.Client, stream_id: str, phase: str, timeout_s: float = 15.0) -> dict[str, Any]:
    """Poll a stream until it is in `phase`; return its state. A stream that this machine is too slow for runs, too."""
    wanted = ("running", "degraded") if phase == "running" else (phase,)
    state: dict[str, Any] = {}

    def reached() -> bool:
        state.update(http.get(f"/streams/{stream_id}").json()["state"])
        return state["phase"] in wanted

    wait_until(reached, timeout_s, f"{stream_id} to be {phase}")
    return state
