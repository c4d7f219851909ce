"""Plans built in the background, one after the other, in a process of their own, while something else serves.

Nothing is built unless it was ordered, and how far it is can be asked at any time.
"""

import atexit
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Lock, Thread
from typing import Literal, TypeAlias

from engines.errors import EngineError, PlanError
from engines.signature import size_name
from engines.tensorrt_builder import Progress

log = logging.getLogger(__name__)

PROJECT = Path(__file__).resolve().parent.parent
BACKGROUND = 10
"""Niceness of a builder."""
STOP_S = 10.0
"""How long a builder may take to end when it is told to."""


@dataclass(frozen=True, slots=True)
class PlanState:
    """How far the plan of one model file is."""

    model: str
    """Name of the model file."""
    phase: Literal["waiting", "building", "ready", "failed"]
    share: float = 0.0
    """Of the build, 0 to 1."""
    doing: str = ""
    """What is being done, or why it failed."""


Size: TypeAlias = tuple[int, int] | None
"""Width and height of the input of a model file with open sizes; None: its own."""
Build: TypeAlias = Callable[[Path, Size, Progress, Event], Path]
"""Builds the plan of a model file and returns its path; reports; ends with PlanError when the event is set."""


@dataclass(frozen=True, slots=True)
class BuildCommand:
    """Builds by a program in a process of its own, at low priority. A `Build`."""

    module: str
    """The program, which whoever is above names: it takes model files and --progress json, prints a line of JSON with
    `share` and `doing` now and then, and in the end one with the path of the `plan`."""
    options: tuple[str, ...] = ()
    """Of that program, such as ('--precision', 'fp16')."""

    def __call__(self, model: Path, size: Size, progress: Progress, stop: Event) -> Path:
        """Raises PlanError with the builder's own words."""
        command = [sys.executable, "-m", self.module, str(model.resolve()), *self.options, "--progress", "json"]
        command += ["--size", size_name(size)] if size else []
        plan = None
        with subprocess.Popen(  # noqa: S603  # this project's own program
            command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            os.setpriority(os.PRIO_PROCESS, process.pid, BACKGROUND)
            assert process.stdout is not None and process.stderr is not None  # noqa: S101  # both are pipes
            Thread(target=_end, args=(process, stop), daemon=True).start()
            for line in process.stdout:
                report = json.loads(line)
                if "plan" in report:
                    plan = Path(report["plan"])
                else:
                    progress(report["share"], report["doing"])
            complaint = process.stderr.read().strip()
        if stop.is_set():
            raise PlanError("stopped")
        if process.returncode or plan is None:
            raise PlanError(complaint.splitlines()[-1] if complaint else f"the builder ended with {process.returncode}")
        return plan


class PlanBuilds:
    """Orders and their states. All methods may be called on any thread."""

    def __init__(self, build: Build) -> None:
        self._build = build
        self._orders: SimpleQueue[tuple[Path, Size, Callable[[Path], None]] | None] = SimpleQueue()
        self._states: dict[Path, PlanState] = {}
        self._lock = Lock()
        self._stop = Event()
        self._thread = Thread(target=self._work, name="plans", daemon=True)

    @property
    def states(self) -> tuple[PlanState, ...]:
        """Of all orders, in their order."""
        with self._lock:
            return tuple(self._states.values())

    def order(self, model: Path, ready: Callable[[Path], None], size: Size = None) -> None:
        """Build the plan of `model` and call `ready` with its path, on the builder's thread."""
        self._set(model, PlanState(model.name, "waiting"))
        self._orders.put((model, size, ready))

    def start(self) -> None:
        """Begin with what was ordered, and go on with what will be; at the latest the program's end stops it."""
        atexit.register(self.stop)
        self._thread.start()

    def stop(self) -> None:
        """End the build under way and forget the rest."""
        atexit.unregister(self.stop)
        self._stop.set()
        self._orders.put(None)
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    def _work(self) -> None:
        while (order := self._orders.get()) is not None and not self._stop.is_set():
            model, size, ready = order
            try:
                self._set(model, PlanState(model.name, "building"))
                path = self._build(model, size, partial(self._update, model), self._stop)
                ready(path)
            except EngineError as error:
                self._fail(model, str(error))
            except Exception as error:  # a bug in one build must not end the thread that has the others to do
                log.exception("the builder of plans broke")
                self._fail(model, f"unexpected {type(error).__name__}; the log has the reason")
            else:
                self._set(model, PlanState(model.name, "ready", 1.0))
                log.info("plan of %s is ready", model.name)

    def _fail(self, model: Path, reason: str) -> None:
        if not self._stop.is_set():
            log.error("no plan of %s: %s", model.name, reason)
        self._set(model, PlanState(model.name, "failed", doing=reason))

    def _update(self, model: Path, share: float, doing: str) -> None:
        with self._lock:
            before = self._states[model]
            self._states[model] = replace(before, share=share, doing=doing)
        if int(10 * share) > int(10 * before.share):
            log.info("plan of %s: %.0f%%, %s", model.name, 100 * share, doing)

    def _set(self, model: Path, state: PlanState) -> None:
        with self._lock:
            self._states[model] = state


def _end(process: "subprocess.Popen[str]", stop: Event) -> None:
    """End the process when `stop` is set; this thread ends with the process or soon after."""
    while process.poll() is None:
        if stop.wait(0.2):
            process.terminate()
            return
