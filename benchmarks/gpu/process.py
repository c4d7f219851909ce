"""A step of `benchmarks.gpu.check` in a process of its own: what it said, and its end."""

import hashlib
import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.conditions import ROOT

Entry = dict[str, Any]
"""What is known of a step: status, seconds, and its result or an error."""
SOURCES = ("benchmarks", "edge", "engines", "export", "service", "tests/edge/ops", "tests/engines")


def fingerprint(asked: Entry, models: Sequence[Path]) -> str:
    """Of the programs, the model files and what is asked of them: a result is good as long as none of it changes."""
    digest = hashlib.sha256(repr(sorted(asked.items())).encode())
    programs = [path for folder in SOURCES for path in sorted((ROOT / folder).rglob("*"))]
    for path in (*models, *(path for path in programs if path.suffix in (".py", ".cu"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def say(status: str, **more: Any) -> None:
    """Tell the parent. The last line counts, so a step that is ended has said what it found until then."""
    print(json.dumps({"status": status, **more}, default=float), flush=True)


def run(command: Sequence[str], variables: Mapping[str, str], limit_s: float) -> Entry:
    """What the command said last; one that takes longer than `limit_s` is ended, and so is everything it started."""
    started_s = perf_counter()
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,  # its children hold the pipes, too, and must end with it
    ) as process:
        try:
            out, errors = process.communicate(timeout=limit_s)
            late = False
        except subprocess.TimeoutExpired:
            _end(process)
            out, errors = process.communicate()
            late = True
        except BaseException:  # Ctrl-C does not reach another session, and the GPU would stay busy
            _end(process)
            raise
    entry = _last(out) | {"seconds": round(perf_counter() - started_s, 1)}
    if late:
        ended = {"error": f"ended after {limit_s:.0f} s"}
        return entry | ended | {"status": "partial" if "result" in entry else "failed"}
    if entry.get("status") in (None, "partial"):  # it broke without a last word
        entry |= {"status": entry.get("status", "failed"), "error": f"exit {process.returncode}: {errors[-600:]}"}
    return entry


def _end(process: "subprocess.Popen[str]") -> None:
    """End the process and its children; they are a session of their own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _last(out: str) -> Entry:
    """The last line that `say` printed; libraries print, too."""
    for line in reversed(out.splitlines()):
        if line.startswith('{"status"'):
            with suppress(ValueError):  # the line was being written
                found: Entry = json.loads(line)
                return found
    return {}
