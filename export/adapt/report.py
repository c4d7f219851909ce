"""Before and after, on frames that nothing was learnt from: numbers, a verdict, and pictures of where they differ."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np
from tqdm import tqdm

from edge.arrays import F32, U8
from edge.ops.host import HostOps
from edge.pipeline.backend import Backend
from edge.pipeline.config import LaneSettings, PipelineSettings
from edge.pipeline.look_costs import StatedCosts
from edge.pipeline.pipeline import TrackingPipeline
from edge.sources.base import Frame
from edge.tracking.assignment import assign
from edge.tracking.boxes import iou_matrix
from engines.engine import Engine
from engines.files import whole
from engines.host import HostDevice
from export.adapt.labels import LABELS, StretchLabels
from export.adapt.recordings import Stretch, frames_of
from export.adapt.scores import MATCH_IOU, Agreement, Boxes, compare, pooled

K = 6
PICTURES = 6
WIDEST = 960
WHITE, MISSED, OURS = (255, 255, 255), (60, 60, 230), (0, 159, 230)
"""Blue, green, red: who both see, whom the student misses, whom it alone sees."""


@dataclass(slots=True)
class Trial:
    """AttTrack with one student over the kept stretches."""

    by_recording: dict[str, list[Agreement]] = field(default_factory=dict)
    times_s: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """From a decoded picture to its tracks, by who saw it, if anybody."""

    @property
    def all(self) -> Agreement:
        """Over all recordings."""
        return pooled(one for several in self.by_recording.values() for one in several)

    @property
    def frames(self) -> int:
        """How many there were."""
        return sum(map(len, self.times_s.values()))

    @property
    def frames_per_s(self) -> float:
        """Of both networks together."""
        return self.frames / (sum(map(sum, self.times_s.values())) or 1.0)

    def rate(self, kind: str) -> float:
        """Frames per second, were all of them like those that the teacher or the student saw."""
        times = self.times_s[kind]
        return len(times) / (sum(times) or 1.0)


@dataclass(frozen=True, slots=True)
class Difference:
    """A frame on which teacher and student do not agree."""

    stretch: Stretch
    number: int
    """Of the frame within its stretch, from 0."""
    wrong: int
    """Boxes of the adapted student and of the teacher that have no partner."""


@dataclass(slots=True)
class StudentComparison:
    """Both students, by the names 'before' and 'after'."""

    trials: dict[str, Trial]
    differences: list[Difference] = field(default_factory=list)
    tracks: dict[tuple[str, str], list[Boxes]] = field(default_factory=dict)  # (student, stretch) -> frame by frame

    @property
    def better(self) -> bool:
        """Whether the adapted student is the one to take: its MOTA and IDF1 together are higher."""
        before, after = self.trials["before"].all, self.trials["after"].all
        return after.mota + after.idf1 > before.mota + before.idf1


def compare_students(
    teacher: Engine, students: Mapping[str, Engine], stretches: Sequence[Stretch], folder: Path, k: int = K
) -> StudentComparison:
    """Run AttTrack with each student over the same frames, in turns; the truth is the teacher's own tracks.

    folder: of the labelled stretches; k: keyframe period.
    """
    costs = StatedCosts()
    settings = PipelineSettings(LaneSettings(k=k), max_lanes=1)
    pipelines = {
        name: TrackingPipeline(Backend(HostDevice(), HostOps(), teacher, student), settings, costs)
        for name, student in students.items()
    }
    found = StudentComparison({name: Trial() for name in students})
    recordings = list(dict.fromkeys(stretch.recording for stretch in stretches))
    with tqdm(total=sum(map(len, stretches)), desc="comparing", unit="frame") as bar:
        for recording in recordings:
            mine = [stretch for stretch in stretches if stretch.recording == recording]
            following: dict[Stretch, dict[str, list[tuple[Boxes, int]]]] = {}
            for stretch, frame in frames_of(recording, mine):
                if stretch not in following:
                    following[stretch] = {name: [] for name in pipelines}
                    for pipeline in pipelines.values():
                        _begin(pipeline)
                for name, pipeline in pipelines.items():
                    began_s = perf_counter()
                    (tracked,) = pipeline.collect(pipeline.submit({"kept": frame}))
                    found.trials[name].times_s[tracked.kind].append(perf_counter() - began_s)
                    boxes = Boxes(tracked.tracks.ids, tracked.tracks.xyxy)
                    following[stretch][name].append((boxes, tracked.since_teacher))
                bar.update()
            for stretch, by_student in following.items():
                truth = StretchLabels.load(folder / stretch.name / LABELS).teacher_tracks()
                for name, rows in by_student.items():
                    ours = [boxes for boxes, _ in rows][: len(truth)]
                    since = [distance for _, distance in rows][: len(truth)]
                    trial = found.trials[name]
                    trial.by_recording.setdefault(recording.path.name, []).append(compare(truth, ours, since))
                    found.tracks[name, stretch.name] = ours
                found.differences += _differences(stretch, truth, found.tracks["after", stretch.name])
    return found


def _begin(pipeline: TrackingPipeline) -> None:
    for lane in pipeline.lane_ids:
        pipeline.remove_lane(lane)
    pipeline.add_lane("kept")


def _differences(stretch: Stretch, truth: Sequence[Boxes], ours: Sequence[Boxes]) -> list[Difference]:
    rows = []
    for number, (a, b) in enumerate(zip(truth, ours, strict=True)):
        pairs = len(_pairs(a.xyxy, b.xyxy)[0])
        if wrong := len(a.ids) + len(b.ids) - 2 * pairs:
            rows.append(Difference(stretch, number, wrong))
    return rows


def _pairs(theirs: F32, ours: F32) -> tuple[list[int], list[int]]:
    overlap = iou_matrix(theirs, ours).astype(np.float64)
    rows, columns = assign(np.where(overlap >= MATCH_IOU, -overlap, np.inf), 0.0)
    return rows.tolist(), columns.tolist()


def write_report(found: StudentComparison, facts: Mapping[str, str], labels: Path, folder: Path) -> None:
    """report.md, and the pictures that it shows."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = _choose(found.differences)
    names = []
    for place, difference in enumerate(chosen, 1):
        name = f"differs-{place}.jpg"
        cv2.imwrite(str(folder / name), _drawn(found, difference, labels), [cv2.IMWRITE_JPEG_QUALITY, 88])
        names.append((name, difference))
    text = "\n".join(_lines(found, facts, names)) + "\n"
    with whole(folder / "report.md") as partial:
        partial.write_text(text)


def summary(found: StudentComparison) -> str:
    """Two lines for the terminal: before and after."""
    rows = []
    for name, trial in found.trials.items():
        all_ = trial.all
        rows.append(
            f"{name:7} MOTA {100 * all_.mota:5.1f}  IDF1 {100 * all_.idf1:5.1f}  {trial.frames_per_s:6.1f} frames/s"
        )
    return "\n".join(rows)


def _choose(differences: Sequence[Difference]) -> list[Difference]:
    """The frames that differ most, none of them within a second or so of another."""
    chosen: list[Difference] = []
    for one in sorted(differences, key=lambda difference: -difference.wrong):
        near = any(one.stretch == other.stretch and abs(one.number - other.number) < 2 * K for other in chosen)
        if not near and len(chosen) < PICTURES:
            chosen.append(one)
    return chosen


def _drawn(found: StudentComparison, difference: Difference, labels: Path) -> U8:
    """A frame before and after, side by side."""
    stretch = difference.stretch
    wanted = Stretch(stretch.recording, stretch.first + difference.number, stretch.first + difference.number + 1, True)
    frame: Frame = next(frame for _, frame in frames_of(stretch.recording, [wanted]))
    truth = StretchLabels.load(labels / stretch.name / LABELS).teacher_tracks()[difference.number]
    halves = []
    for name in found.trials:
        ours = found.tracks[name, stretch.name][difference.number]
        image = frame.image.copy()
        rows, columns = _pairs(truth.xyxy, ours.xyxy)
        for row, box in enumerate(truth.xyxy):
            _box(image, box, WHITE if row in rows else MISSED)
        for column, box in enumerate(ours.xyxy):
            if column not in columns:
                _box(image, box, OURS)
        scale = min(1.0, WIDEST / image.shape[1])
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        cv2.putText(small, name, (10, 28), cv2.FONT_HERSHEY_DUPLEX, 0.9, (0, 0, 0), 4)
        cv2.putText(small, name, (10, 28), cv2.FONT_HERSHEY_DUPLEX, 0.9, WHITE, 1)
        halves.append(small)
    return np.concatenate(halves, axis=1).astype(np.uint8, copy=False)


def _box(image: U8, xyxy: F32, colour: tuple[int, int, int]) -> None:
    x1, y1, x2, y2 = (round(float(side)) for side in xyxy)
    cv2.rectangle(image, (x1, y1), (x2, y2), colour, max(1, image.shape[1] // 480))


def _lines(found: StudentComparison, facts: Mapping[str, str], pictures: Sequence[tuple[str, Difference]]) -> list[str]:
    before, after = found.trials["before"], found.trials["after"]
    verdict = "the adapted student is taken" if found.better else "the student stays as it was; it was not better"
    lines = ["# Adaptation", "", f"**{verdict[0].upper()}{verdict[1:]}.**", ""]
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    lines += [
        "",
        "Compared on the last fifth of each recording, which nothing was learnt from. The truth here is what the "
        f"teacher's own tracks say, when it sees every frame; AttTrack has it see every {K}th.",
        "",
        "| recording | MOTA before | after | IDF1 before | after |",
        "|---|---|---|---|---|",
    ]
    rows = {name: tuple(pooled(trial.by_recording[name]) for trial in (before, after)) for name in before.by_recording}
    for name, (a, b) in {**rows, "all": (before.all, after.all)}.items():
        lines.append(f"| {name} | {_hundred(a.mota)} | {_hundred(b.mota)} | {_hundred(a.idf1)} | {_hundred(b.idf1)} |")
    lines += ["", "| frames after the keyframe | agreement before | after |", "|---|---|---|"]
    for since in range(K):
        lines.append(f"| {since} | {_hundred(before.all.agreed(since))} | {_hundred(after.all.agreed(since))} |")
    lines += [
        "",
        "Agreement: boxes that match one of the teacher's by half (IoU), F1 in hundredths.",
        "",
        "| frames per second, here | before | after |",
        "|---|---|---|",
        f"| AttTrack, K={K} | {before.frames_per_s:.1f} | {after.frames_per_s:.1f} |",
        f"| teacher alone | {before.rate('teacher'):.1f} | {after.rate('teacher'):.1f} |",
        f"| student alone | {before.rate('student'):.1f} | {after.rate('student'):.1f} |",
        "",
    ]
    if pictures:
        lines += ["White: teacher and student agree. Red: only the teacher. Orange: only the student.", ""]
    for name, one in pictures:
        lines += [f"![{one.stretch.recording.path.name}, frame {one.stretch.first + one.number + 1}]({name})", ""]
    return lines


def _hundred(value: float) -> str:
    return f"{100 * value:.1f}"
