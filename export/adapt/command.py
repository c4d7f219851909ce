"""Adapt the student to your cameras: it learns from what the teacher sees in your recordings. Nobody labels anything.

examples:
  atttrack adapt --teacher models/open-teacher.onnx --video recordings/ --output my-pair
  atttrack adapt --teacher mine/yolov8n-teacher-640x640.onnx --video hall.mp4 --output my-pair --minutes 30

The recordings, what is learnt from them and the report stay on this machine. Stopped at any moment, the same command
goes on where it was. docs/ADAPT.md has the rest.
"""

import argparse
import hashlib
import json
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any

import onnx
from onnx import helper
from tqdm import tqdm

from edge.pipeline.config import INPUT_SIZE, parse_size
from edge.sources import open_source
from edge.sources.base import Frame, SourceError
from engines.errors import EngineError, SignatureError
from engines.files import whole
from engines.onnx_engine import OnnxEngine
from engines.signature import Signature, check_size, file_name, size_name
from export.adapt.labels import LABELS, StretchLabels, Teacher, label_stretch, read_labels
from export.adapt.recordings import Recording, Stretch, choose_stretches, find_recordings, frames_of
from export.adapt.report import StudentComparison, compare_students, summary, write_report
from export.adapt.student import (
    SHIPPED_STUDENT,
    SHIPPED_WEIGHTS,
    WEIGHTS,
    adapting_recipe,
    begin_student,
    export_student,
    learn,
    of_steps,
    steps_within,
    without_looks,
)
from export.precision import read_model

LOOKING = 0.3
"""Share of the time that the teacher may look."""
TRIED = 8
"""Frames by which its pace is measured."""
MOST_FRAMES = 9000
LEAST_PERSONS = 50
"""Sightings below which there is nothing to learn."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is decided at the beginning and kept, so that a stopped run goes on with it."""

    teacher_ms: float
    """What the teacher takes for one frame."""
    stretches: tuple[Stretch, ...]

    @property
    def learnt(self) -> list[Stretch]:
        """Those to learn from."""
        return [one for one in self.stretches if not one.kept]

    @property
    def kept(self) -> list[Stretch]:
        """Those for the report."""
        return [one for one in self.stretches if one.kept]


def main(arguments: Sequence[str] | None = None) -> int:
    """Adapt; the exit status is 0, also where the student stays as it was, or 2 after one line that says what is
    wrong."""
    options = _parser().parse_args(arguments)
    try:
        _adapt(options)
    except (EngineError, SourceError, ValueError, OSError) as error:
        print(f"atttrack adapt: {error}", file=sys.stderr)
        return 2
    return 0


def _adapt(options: argparse.Namespace) -> None:
    """Look, label, learn, compare, and leave the better pair."""
    check_size(options.size)
    engine = _open_teacher(options.teacher, options.size)
    signature = engine.signature
    pair = options.pair or signature.pair
    work = options.output / "work"
    recordings = find_recordings(options.video)
    plan = _plan(options, engine, recordings, work)
    teacher = Teacher(engine, options.size)
    plan = _label(teacher, plan, work)
    persons = sum(len(StretchLabels.load(work / one.name / LABELS).persons) for one in plan.learnt)
    if not plan.kept:
        raise ValueError(f"{options.video} ends before its last fifth, on which to compare; is a film cut off?")
    if persons < LEAST_PERSONS:
        kinds = " or ".join(signature.classes)
        raise ValueError(
            f"the teacher is sure of {persons} sightings of {kinds} in {options.video}, too few to learn from; give "
            "recordings with more of them, and see what it finds there: atttrack track --mode teacher"
        )
    weights = _learn(options, plan, signature, work)
    candidate, shipped = work / "candidate.onnx", work / "shipped.onnx"
    export_student(weights, signature, candidate)
    _lend_shipped(signature, shipped)
    students = {
        "before": OnnxEngine(shipped, None, options.size),
        "after": OnnxEngine(candidate, None, options.size),
    }
    found = compare_students(engine, students, plan.kept, work)
    _leave(options, found, signature, pair, {"before": shipped, "after": candidate})
    facts = {
        "teacher": f"{options.teacher.name}, {signature.network}",
        "learnt from": f"{sum(map(len, plan.learnt))} frames of {len(recordings)} recordings, {persons} sightings",
        "compared on": f"{found.trials['after'].frames} frames",
    }
    write_report(found, facts, work, options.output / "report")
    print(summary(found))
    print("the adapted student is taken" if found.better else "it is not better: the shipped student stays")
    print(f"report:  {options.output / 'report' / 'report.md'}")
    print(f"pictures of your recordings are in {work}; delete it when you are content")
    print(f"try it:  atttrack track film.mp4 --models {options.output} --pair {pair}")


def _open_teacher(path: Path, size: tuple[int, int]) -> OnnxEngine:
    """Raises EngineError that says how to make a teacher where the file is none."""
    hint = f"a detector becomes a teacher by: atttrack adopt {path}"
    try:
        stored = Signature.from_metadata(
            {entry.key: entry.value for entry in read_model(path).metadata_props}, str(path)
        )
    except SignatureError as error:
        raise SignatureError(f"{path} is no teacher of a pair; {hint}") from error
    if stored.role != "teacher":
        raise SignatureError(f"{path} is a {stored.role}, --teacher takes a teacher; {hint}")
    return OnnxEngine(path, None, size if stored.sizes == "open" else None)


def _plan(options: argparse.Namespace, engine: OnnxEngine, recordings: Sequence[Recording], work: Path) -> Plan:
    """What was decided when this began, or is now. Says what will be done.

    Raises ValueError where the folder belongs to another adaptation.
    """
    wanted = {
        "teacher": hashlib.sha256(options.teacher.read_bytes()).hexdigest(),
        "size": list(options.size),
        "minutes": options.minutes,
        "recordings": [[str(one.path), one.frames] for one in recordings],
    }
    file = work / "plan.json"
    if file.exists():
        stored: dict[str, Any] = json.loads(file.read_text())
        if other := [name for name, value in wanted.items() if stored[name] != value]:
            raise ValueError(
                f"{work} was begun with another {' and '.join(other)}; give another --output, or delete {work}"
            )
        print(f"going on with what was begun in {work}")
        teacher_ms = float(stored["teacher_ms"])
    else:
        teacher_ms = _pace_ms(engine, options.size, recordings)
        with whole(file) as partial:
            partial.write_text(json.dumps(wanted | {"teacher_ms": teacher_ms}) + "\n")
    most = min(MOST_FRAMES, int(LOOKING * options.minutes * 60_000 / teacher_ms))
    plan = Plan(teacher_ms, tuple(choose_stretches(recordings, max(most, 1))))
    learnt, kept = (sum(map(len, some)) for some in (plan.learnt, plan.kept))
    looking_min = (learnt + kept) * teacher_ms / 60_000
    print(
        f"recordings: {len(recordings)}, with {sum(one.frames for one in recordings)} frames\n"
        f"teacher:    looks at {learnt} to learn from and {kept} for the report, {teacher_ms:.0f} ms each: "
        f"{looking_min:.1f} min\n"
        f"student:    then learns until {options.minutes:g} min have gone, and is compared with the shipped one\n"
        "privacy:    nothing leaves this machine"
    )
    return plan


def _pace_ms(engine: OnnxEngine, size: tuple[int, int], recordings: Sequence[Recording]) -> float:
    """Milliseconds that the teacher takes for a frame, with all around it."""
    teacher = Teacher(engine, size)
    teacher.begin()
    times = []
    with closing(open_source(recordings[0].path)) as source:
        for frame in islice(source, TRIED):
            began_s = time.perf_counter()
            teacher.look(frame)
            times.append(1000 * (time.perf_counter() - began_s))
    if not times:
        raise ValueError(f"{recordings[0].path} has no picture that can be read")
    return sorted(times)[len(times) // 2]


def _label(teacher: Teacher, plan: Plan, work: Path) -> Plan:
    """Have the teacher look where it has not; the plan without stretches that a film did not have after all."""
    recordings = list(dict.fromkeys(stretch.recording for stretch in plan.stretches))
    with tqdm(total=sum(map(len, plan.stretches)), desc="teacher", unit="frame") as bar:
        for recording in recordings:
            mine = [one for one in plan.stretches if one.recording == recording]
            waiting = [one for one in mine if not (work / one.name / LABELS).exists()]
            bar.update(sum(map(len, mine)) - sum(map(len, waiting)))
            for stretch, following in groupby(frames_of(recording, waiting), itemgetter(0)):
                label_stretch(teacher, _counted(map(itemgetter(1), following), bar), work / stretch.name)
    there = tuple(one for one in plan.stretches if (work / one.name / LABELS).exists())
    return Plan(plan.teacher_ms, there)


def _counted(frames: Iterator[Frame], bar: "tqdm[Any]") -> Iterator[Frame]:
    for frame in frames:
        yield frame
        bar.update()


def _learn(options: argparse.Namespace, plan: Plan, teacher: Signature, work: Path) -> Path:
    """Train for the time that is left of `--minutes`; the weights."""
    dimension = teacher.embedding_dim if teacher.appearance != "none" else 0
    images, identities = read_labels(plan.learnt, work, dimension)
    recipe = adapting_recipe(teacher.pair, options.size)
    decided = work / "steps.json"
    if not decided.exists():
        looking_s = sum(map(len, plan.stretches)) * plan.teacher_ms / 1000
        comparing_s = sum(map(len, plan.kept)) * plan.teacher_ms / 1000
        left_s = 60 * options.minutes - looking_s - comparing_s
        begin = partial(begin_student, SHIPPED_WEIGHTS, teacher)
        steps = steps_within(left_s, recipe, begin, images, identities, work / "pace")
        with whole(decided) as unfinished:
            unfinished.write_text(json.dumps(steps))
        print(f"the student learns in {steps} steps")
    recipe = of_steps(recipe, json.loads(decided.read_text()))
    learn(recipe, begin_student(SHIPPED_WEIGHTS, teacher), images, identities, work / "student")
    return work / "student" / WEIGHTS


def _lend_shipped(teacher: Signature, path: Path) -> None:
    """The shipped student as one of the teacher's pair."""
    shipped = OnnxEngine(SHIPPED_STUDENT, None, INPUT_SIZE).signature
    if (shipped.pair, shipped.embedding_dim) == (teacher.pair, teacher.embedding_dim):
        with whole(path) as partial:
            shutil.copyfile(SHIPPED_STUDENT, partial)
    else:
        without_looks(SHIPPED_STUDENT, teacher, path)


def _leave(
    options: argparse.Namespace, found: StudentComparison, teacher: Signature, pair: str, students: dict[str, Path]
) -> None:
    """Write the pair: the teacher as it is, and the better student."""
    model = read_model(options.teacher)
    is_open = {entry.key: entry.value for entry in model.metadata_props}.get("sizes") == "open"
    size = "" if is_open else size_name((teacher.width, teacher.height))
    _renamed(options.teacher, pair, options.output / file_name(pair, "teacher", size))
    better = students["after" if found.better else "before"]
    _renamed(better, pair, options.output / file_name(pair, "student"))


def _renamed(source: Path, pair: str, path: Path) -> None:
    """A model file of another pair."""
    model = read_model(source)
    metadata = {entry.key: entry.value for entry in model.metadata_props} | {"pair": pair}
    helper.set_model_props(model, metadata)
    with whole(path) as partial:
        onnx.save(model, partial)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="atttrack adapt", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--teacher", type=Path, required=True, metavar="FILE", help="model file of a pair's teacher, by adopt, say"
    )
    parser.add_argument(
        "--video", type=Path, required=True, metavar="PATH", help="a film, or a folder with films of your cameras"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the pair and the report")
    parser.add_argument("--pair", help="its name (default the teacher's)")
    parser.add_argument(
        "--minutes", type=_minutes, default=60.0, metavar="M", help="how long it may take (default %(default)g)"
    )
    parser.add_argument(
        "--size",
        type=parse_size,
        default=size_name(INPUT_SIZE),
        metavar="WxH",
        help="of the student's input (default %(default)s)",
    )
    return parser


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes < float("inf"):
        raise argparse.ArgumentTypeError(f"a number of minutes above 0, such as 60, got {text!r}")
    return minutes


if __name__ == "__main__":
    sys.exit(main())
