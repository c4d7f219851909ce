"""A round of live adaptation, in a process of its own: the service starts it, paces it, and reads what it says.

    python -m export.adapt.live FOLDER

FOLDER lies in memory: it has order.json and, for each stretch that the service has kept, a MOTChallenge sequence. The
teacher looks at all of them, the student learns from some and is compared with its predecessor on the others, as
`atttrack adapt` does with recordings. Lines of JSON tell how far it is, the last one the verdict; the new student is
left in FOLDER. When standard input ends, whoever started this is gone: then FOLDER goes, too, and all pictures with it.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any, Self

import torch

from edge.sources.base import SourceError
from engines.errors import EngineError
from engines.onnx_engine import OnnxEngine
from export.adapt.labels import LABELS, StretchLabels, Teacher, label_stretch, read_labels
from export.adapt.recordings import Recording, Stretch, frames_of
from export.adapt.report import Trial, compare_students
from export.adapt.student import (
    SHIPPED_WEIGHTS,
    WEIGHTS,
    adapting_recipe,
    begin_student,
    export_student,
    learn,
    of_steps,
    steps_within,
)

LEAST_SIGHTINGS = 50
"""Of people in the stretches to learn from; below there is nothing to learn."""
LEAST_GAIN = 0.01
"""MOTA and IDF1 together must be higher by so much: a change-over for less is noise."""
GRACE_S = 30.0
"""Until a program that was told to end and does not is ended."""
STUDENT = "student.onnx"
Tell = Callable[[float, str], object]
"""Hears which share is done, 0 to 1, and what is being done."""


@dataclass(frozen=True, slots=True)
class Round:
    """What the service asks for; `service.adaptation.training` writes it."""

    teacher: Path
    shipped: Path
    """The pair's own student."""
    student: Path | None
    """The one in force, where it is another; `weights` are its."""
    weights: Path | None
    teacher_size: tuple[int, int]
    size: tuple[int, int]
    """Width and height of the student's input."""
    k: int
    minutes: float
    """How long the round may take."""
    threads: int
    kept: tuple[str, ...]
    """Names of the stretches that nothing is learnt from."""
    learnt: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Parse order.json."""
        given: dict[str, Any] = json.loads(path.read_text())
        for name in ("teacher", "shipped", "student", "weights"):
            given[name] = None if given[name] is None else Path(given[name])
        for name in ("teacher_size", "size", "kept", "learnt"):
            given[name] = tuple(given[name])
        return cls(**given)


def adapt(order: Round, folder: Path, tell: Tell) -> dict[str, Any]:
    """Look, learn and compare; the verdict as JSON data. Leaves STUDENT and WEIGHTS in `folder`.

    verdict: `better` where the new student is to be taken; `shipped` where the pair's own is better than the one in
    force, and the new one no better than that; `not_better`; `too_few`, of people seen.
    """
    began_s = time.monotonic()
    torch.set_num_threads(order.threads)
    engine = OnnxEngine(order.teacher, order.threads, order.teacher_size)
    signature, work = engine.signature, folder / "work"
    learnt, kept = (
        [_stretch(folder / name, name in order.kept) for name in some] for some in (order.learnt, order.kept)
    )
    tell(0.0, "the teacher looks")
    teacher = Teacher(engine, order.size)
    for number, stretch in enumerate([*learnt, *kept]):
        frames = (frame for _, frame in frames_of(stretch.recording, [stretch]))
        label_stretch(teacher, frames, work / stretch.name)
        if not stretch.kept:
            shutil.rmtree(stretch.recording.path)  # the labels have its pictures
        tell(0.3 * (number + 1) / len(learnt + kept), "the teacher looks")
    looked_s = time.monotonic() - began_s
    sightings = sum(len(StretchLabels.load(work / one.name / LABELS).persons) for one in learnt)
    facts = {"sightings": sightings, "learnt": sum(map(len, learnt)), "compared": sum(map(len, kept)), "steps": 0}
    if sightings < LEAST_SIGHTINGS:
        return facts | {"verdict": "too_few", "scores": {}}
    images, identities = read_labels(learnt, work, signature.embedding_dim if signature.appearance != "none" else 0)
    recipe = adapting_recipe(signature.pair, order.size)
    begin = partial(begin_student, order.weights or SHIPPED_WEIGHTS, signature)
    comparing_s = 2 * looked_s * sum(map(len, kept)) / sum(map(len, learnt + kept))
    left_s = 60 * order.minutes - looked_s - comparing_s
    steps = steps_within(left_s, recipe, begin, images, identities, folder / "pace")
    recipe = of_steps(recipe, steps)
    learn(
        recipe,
        begin(),
        images,
        identities,
        folder / "run",
        lambda run: tell(0.3 + 0.5 * run.step / steps, "the student learns"),
    )
    tell(0.8, "the new student is written")
    export_student(folder / "run" / WEIGHTS, signature, folder / STUDENT)
    (folder / "run" / WEIGHTS).rename(folder / WEIGHTS)
    tell(0.85, "old and new are compared")
    files = {"before": order.student or order.shipped, "after": folder / STUDENT}
    if order.student is not None:
        files["shipped"] = order.shipped
    students = {name: OnnxEngine(path, order.threads, order.size) for name, path in files.items()}
    trials = compare_students(engine, students, kept, work, order.k).trials
    scores = {name: {"mota": trial.all.mota, "idf1": trial.all.idf1} for name, trial in trials.items()}
    return facts | {"verdict": choose(trials), "scores": scores, "steps": steps}


def choose(trials: Mapping[str, Trial]) -> str:
    """The verdict: of `after`, and `shipped` where that is another than `before`, the better one if it is a gain."""
    worth = {name: trial.all.mota + trial.all.idf1 for name, trial in trials.items()}
    best = max((name for name in worth if name != "before"), key=lambda name: worth[name])
    if worth[best] < worth["before"] + LEAST_GAIN:
        return "not_better"
    return "better" if best == "after" else "shipped"


def _stretch(path: Path, kept: bool) -> Stretch:
    """The whole sequence in a folder."""
    frames = sum(1 for _ in (path / "img1").iterdir())
    return Stretch(Recording(path, frames, None), 0, frames, kept)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a round. 0 after a verdict; 2 after one line on standard error that says what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m export.adapt.live", description=__doc__)
    parser.add_argument("folder", type=Path, help="with order.json and the sequences")
    folder: Path = parser.parse_args(arguments).folder
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # which the kernel sends where the service dies while this is stopped
    signal.signal(signal.SIGTERM, _end)
    Thread(target=_end_with_starter, args=(folder,), daemon=True).start()
    try:
        return _round(folder)
    except SystemExit:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _round(folder: Path) -> int:
    out = sys.stdout

    def say(report: Mapping[str, Any]) -> None:
        print(json.dumps(report), file=out, flush=True)

    try:
        with redirect_stdout(sys.stderr):  # of what prints on its way
            found = adapt(
                Round.read(folder / "order.json"),
                folder,
                lambda share, doing: say({"share": round(share, 3), "doing": doing}),
            )
    except (EngineError, SourceError, ValueError, OSError, FloatingPointError) as error:
        print(f"{error}", file=sys.stderr)
        return 2
    say(found)
    return 0


def _end_with_starter(folder: Path) -> None:
    """Wait for the end of standard input, which nobody writes to; then the main thread goes, whatever it is at."""
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)  # a daemon: it ends with the main thread
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def _end(*_: object) -> None:
    raise SystemExit(1)


if __name__ == "__main__":
    sys.exit(main())
