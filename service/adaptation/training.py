"""Training: one round as a process of its own, at the lowest priority and within its share of the machine."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

from edge.pipeline.backend import PairFiles
from service.adaptation.gathering import LOWEST
from service.adaptation.sample import Excerpt, Sample
from service.adaptation.settings import MEMORY, AdaptationSettings

PROJECT = Path(__file__).resolve().parents[2]
PROGRAM = "export.adapt.live"
STUDENT, WEIGHTS = "student.onnx", "weights.pt"
"""What it leaves in its folder."""
PREFIX = "atttrack-adapt-"
LOCK = "lock"
TURN_S = 1.0
"""In each of them a round runs for its share and stands still for the rest."""
SPARE, BESIDES = 4, 100_000_000
"""Times the sample that a round needs of memory for pictures and answers; bytes beside them for what it learns."""
FIRST_TO_GO = "1000"
"""Where memory is short, the kernel ends a round before anything else."""

Tell = Callable[[float, str], object]


class TrainingFailed(Exception):
    """A round that came to no verdict. The message has its reason, for the log."""


@dataclass(frozen=True, slots=True)
class Predecessor:
    """The student in force, where it is not the pair's own."""

    student: Path
    weights: Path


class Training:
    """One round. `run` blocks; `stop` is for any thread."""

    def __init__(self, settings: AdaptationSettings, files: PairFiles) -> None:
        self._settings, self._files = settings, files
        self._stopped = Event()
        self._process: subprocess.Popen[str] | None = None

    def run(
        self,
        sample: Sample,
        before: Predecessor | None,
        k: int,
        tell: Tell,
        take: Callable[[dict[str, Any], Path], None],
    ) -> None:
        """Learn from `sample`; `tell` hears how far it is, `take` the verdict, and the folder with the student.

        Raises TrainingFailed. Afterwards nothing of it is left, neither pictures nor process.
        """
        learnt, kept = sample.learnt, sample.kept
        self._check_room(sum(one.nbytes for one in (*learnt, *kept)))
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=MEMORY))
        try:
            with _held(folder / LOCK):
                for stretch in (*learnt, *kept):
                    _write(stretch, folder / stretch.name)
                self._write_order(folder, learnt, kept, before, k)
                take(self._learn(folder, tell), folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def stop(self) -> None:
        """End the round as soon as possible."""
        self._stopped.set()

    def _check_room(self, nbytes: int) -> None:
        free = shutil.disk_usage(MEMORY).free
        needed = SPARE * nbytes + BESIDES
        if free < needed:
            raise TrainingFailed(f"{MEMORY} has {free / 1e6:.0f} MB free, a round needs {needed / 1e6:.0f}")

    def _write_order(
        self,
        folder: Path,
        learnt: Iterable[Excerpt],
        kept: Iterable[Excerpt],
        before: Predecessor | None,
        k: int,
    ) -> None:
        files = self._files
        order = {
            "teacher": str(files.teacher.resolve()),  # the program has another working directory
            "shipped": str(files.student.resolve()),
            "student": before and str(before.student.resolve()),
            "weights": before and str(before.weights.resolve()),
            "teacher_size": files.teacher_size,
            "size": files.size,
            "k": k,
            "minutes": self._settings.round_minutes,
            "threads": len(self._settings.processors),
            "kept": [one.name for one in kept],
            "learnt": [one.name for one in learnt],
        }
        (folder / "order.json").write_text(json.dumps(order))

    def _learn(self, folder: Path, tell: Tell) -> dict[str, Any]:
        """Run the program; its verdict."""
        threads = str(len(self._settings.processors))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ATTTRACK_")}
        verdict: dict[str, Any] | None = None
        with (folder / "log").open("w+") as log:
            process = subprocess.Popen(  # noqa: S603  # this project's own program
                [sys.executable, "-m", PROGRAM, str(folder)],
                cwd=PROJECT,
                env=environment | {"OMP_NUM_THREADS": threads, "OMP_WAIT_POLICY": "PASSIVE"},
                stdin=subprocess.PIPE,  # nothing is written: its end tells the program that the service is gone
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                process_group=0,
            )
            with process:
                assert process.stdout is not None  # noqa: S101  # a pipe
                self._lower(process.pid)
                pace = Thread(target=self._pace, args=(process,), name="adaptation pace", daemon=True)
                pace.start()
                try:
                    for line in process.stdout:
                        report = json.loads(line)
                        if "verdict" in report:
                            verdict = report
                        else:
                            tell(report["share"], report["doing"])
                finally:
                    _kill(process)
            pace.join()
            if self._stopped.is_set():
                raise TrainingFailed("stopped")
            if verdict is None:
                log.seek(0)
                lines = log.read().replace("\r", "\n").strip().splitlines()
                raise TrainingFailed(lines[-1] if lines else f"its process ended with {process.returncode}")
        return verdict

    def _lower(self, pid: int) -> None:
        """Let everything else come first. What the machine refuses of it is done without."""
        os.setpriority(os.PRIO_PROCESS, pid, LOWEST)
        with contextlib.suppress(OSError):
            os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
        with contextlib.suppress(OSError):
            os.sched_setaffinity(pid, self._settings.processors)
        with contextlib.suppress(OSError):
            Path(f"/proc/{pid}/oom_score_adj").write_text(FIRST_TO_GO)

    def _pace(self, process: "subprocess.Popen[str]") -> None:
        """Let it run for its share of each turn, until it ends or is to be stopped."""
        work_s = TURN_S * self._settings.duty
        while process.poll() is None:
            if self._stopped.wait(work_s):
                _kill(process)
                return
            if work_s < TURN_S:
                _signal(process, signal.SIGSTOP)
                self._stopped.wait(TURN_S - work_s)
                _signal(process, signal.SIGCONT)


def sweep() -> None:
    """Delete pictures of rounds that ended together with their service, whatever killed both."""
    for folder in MEMORY.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError), (folder / LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused while somebody has it
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    """A lock that the kernel gives back, whatever ends this process."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(stretch: Excerpt, folder: Path) -> None:
    """As a MOTChallenge sequence."""
    (folder / "img1").mkdir(parents=True)
    for number, picture in enumerate(stretch.pictures, 1):
        (folder / "img1" / f"{number:06d}.jpg").write_bytes(picture)
    width, height = stretch.size
    lines = ("[Sequence]", f"name={folder.name}", f"frameRate={stretch.frame_rate:.3f}")
    more = (f"seqLength={len(stretch.pictures)}", f"imWidth={width}", f"imHeight={height}")
    (folder / "seqinfo.ini").write_text("\n".join((*lines, *more)) + "\n")


def _signal(process: "subprocess.Popen[str]", number: signal.Signals) -> None:
    """To the program and what it has started."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)


def _kill(process: "subprocess.Popen[str]") -> None:
    _signal(process, signal.SIGKILL)
