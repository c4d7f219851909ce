"""The teacher looks at every frame of a stretch, and its own tracks say which of its answers are to be believed.

A folder for each stretch: pictures as the student will see them, beside each the teacher's answer, and `stretch.npz`
with what was made of them. Who is sure in the terms of `training.label` and part of a track that lasts is a person to
learn; who is doubtful, or hidden between two sightings, is ignored; the rest is background.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np

from edge.arrays import F16, F32, F64, I64, U8
from edge.ops.host import HostOps
from edge.ops.letterbox import Letterbox
from edge.pipeline.backend import Backend
from edge.pipeline.config import LaneSettings, PipelineSettings
from edge.pipeline.pipeline import TrackingPipeline
from edge.sources.base import Frame
from edge.tracking.detections import Tracks
from engines.device import CudaStream
from engines.engine import Engine, Execution
from engines.files import whole
from engines.host import HostDevice
from engines.signature import BOXES, EMBEDDINGS, HEATMAP, POINTS, SCORES, STRIDE
from export.adapt.recordings import Stretch
from export.adapt.scores import Boxes
from training.data.answers import Answer
from training.data.labelled import LabelledImage
from training.label import CERTAIN, DOUBTFUL

LASTS = 5
"""Sightings that make a track one to believe."""
HIDDEN_S = 1.0
"""For so long somebody may be hidden between two sightings and still be ignored where they should be."""
LEAST_SCORE = 0.02
"""What scores lower is not kept of an answer."""
JPEG_QUALITY = 95
LABELS = "stretch.npz"


class Overheard:
    """An engine whose last answer can be read by others."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self.signature = engine, engine.signature
        self.outputs: dict[str, Any] = {}

    def prepare(self, max_batch: int) -> Execution:
        """The engine's own; the newest one is overheard."""
        execution = self._engine.prepare(max_batch)
        self.outputs = dict(execution.outputs)
        return execution


class Teacher:
    """Looks at every frame of one stretch after the other, and tracks."""

    def __init__(self, engine: Engine, input_wh: tuple[int, int]) -> None:
        """input_wh: of the student that is to learn."""
        self._heard = Overheard(engine)
        self.signature, self._input_wh, self._ops = engine.signature, input_wh, HostOps()
        backend = Backend(HostDevice(), HostOps(), teacher=self._heard)
        self._pipeline = TrackingPipeline(backend, PipelineSettings(LaneSettings(mode="teacher"), max_lanes=1))
        self._stream: CudaStream = HostDevice().cuda_stream()

    def begin(self) -> None:
        """Forget everybody."""
        for lane in self._pipeline.lane_ids:
            self._pipeline.remove_lane(lane)
        self._pipeline.add_lane("stretch")

    def look(self, frame: Frame) -> "TeacherLook":
        """At the stretch's next frame."""
        (tracked,) = self._pipeline.collect(self._pipeline.submit({"stretch": frame}))
        found = {name: self._heard.outputs[name][0] for name in (HEATMAP, POINTS, BOXES, SCORES, EMBEDDINGS)}
        good = (found[SCORES] > LEAST_SCORE) & np.isfinite(found[BOXES]).all(1)
        box = Letterbox(*frame.size, self.signature.width, self.signature.height)
        points = box.to_source(np.tile(found[POINTS][good] * STRIDE, 2))[:, :2]
        known = self.signature.appearance != "none"
        return TeacherLook(
            time_s=frame.time_s,
            heatmap=np.round(255 * found[HEATMAP][0]).astype(np.uint8),
            letterbox=box,
            points=points,
            xyxy=box.to_source(found[BOXES][good]),
            scores=found[SCORES][good].copy(),
            embeddings=found[EMBEDDINGS][good].astype(np.float16) if known else None,
            tracks=tracked.tracks,
        )

    def picture(self, frame: Frame) -> U8:
        """(h, w, 3) BGR, scaled as the student will see it, without the grey around."""
        box = Letterbox(*frame.size, *self._input_wh)
        planes = np.empty((1, 3, box.height, box.width), np.uint8)
        whole_picture = Letterbox(*frame.size, box.width, box.height)
        self._ops.letterbox([frame.pixels], [whole_picture], planes, self._stream)
        return np.ascontiguousarray(planes[0, ::-1].transpose(1, 2, 0))


@dataclass(frozen=True, slots=True)
class TeacherLook:
    """What the teacher and its tracker said about one frame; source pixels."""

    time_s: float
    heatmap: U8  # (h, w)
    letterbox: Letterbox
    points: F32  # (n, 2)
    xyxy: F32  # (n, 4)
    scores: F32  # (n,)
    embeddings: F16 | None  # (n, D); None: it knows no looks
    tracks: Tracks

    def answer(self, size: tuple[int, int]) -> Answer:
        """To the picture as it is kept, of that width and height."""
        shrink = np.array(size) / (self.letterbox.source_width, self.letterbox.source_height)
        scale = np.array([self.letterbox.width, self.letterbox.height]) / size / STRIDE
        corner = np.array([self.letterbox.left, self.letterbox.top]) / STRIDE
        points, boxes = (self.points * shrink).astype(np.float32), (self.xyxy * np.tile(shrink, 2)).astype(np.float32)
        return Answer(size, self.heatmap, np.concatenate((scale, corner)), points, boxes, self.scores)


@dataclass(slots=True)
class StretchLabels:
    """What was made of a stretch; a row's frame is counted from 1 within it, boxes are source pixels."""

    size: tuple[int, int]
    """(width, height) of the source."""
    kept_size: tuple[int, int]
    """(width, height) of the pictures on disk."""
    frames: int
    persons: I64 = field(default_factory=lambda: np.zeros((0, 2), np.int64))  # (n, 2) frame, identity
    xyxy: F32 = field(default_factory=lambda: np.zeros((0, 4), np.float32))  # (n, 4)
    scores: F32 = field(default_factory=lambda: np.zeros(0, np.float32))  # (n,)
    looks: F16 = field(default_factory=lambda: np.zeros((0, 0), np.float16))  # (n, D), D = 0: nobody's is known
    ignored: I64 = field(default_factory=lambda: np.zeros(0, np.int64))  # (k,) frame
    ignore: F32 = field(default_factory=lambda: np.zeros((0, 4), np.float32))  # (k, 4)
    tracks: I64 = field(default_factory=lambda: np.zeros((0, 2), np.int64))  # (t, 2) frame, identity: as they left
    tracks_xyxy: F32 = field(default_factory=lambda: np.zeros((0, 4), np.float32))  # (t, 4)

    def save(self, path: Path) -> None:
        """Write it; `path` ends in .npz."""
        with whole(path) as partial, partial.open("wb") as file:
            np.savez(file, **{name: getattr(self, name) for name in self.__slots__})

    @classmethod
    def load(cls, path: Path) -> Self:
        """What `save` wrote."""
        with np.load(path) as file:
            size, kept = (tuple(int(side) for side in file[name]) for name in ("size", "kept_size"))
            arrays = {name: file[name] for name in cls.__slots__ if name not in ("size", "kept_size", "frames")}
            return cls((size[0], size[1]), (kept[0], kept[1]), int(file["frames"]), **arrays)

    def teacher_tracks(self) -> list[Boxes]:
        """Frame by frame, as they left the tracker."""
        chosen = [self.tracks[:, 0] == number for number in range(1, self.frames + 1)]
        return [Boxes(self.tracks[rows, 1], self.tracks_xyxy[rows]) for rows in chosen]


def label_stretch(teacher: Teacher, frames: Iterator[Frame], folder: Path) -> StretchLabels:
    """Write a folder of a stretch, its labels last; frames of another size than the first end it."""
    folder.mkdir(parents=True, exist_ok=True)
    looks: list[TeacherLook] = []
    kept, size = (0, 0), (0, 0)
    teacher.begin()
    for frame in frames:
        if looks and frame.size != size:
            break
        size = frame.size
        look, picture = teacher.look(frame), teacher.picture(frame)
        kept = picture.shape[1], picture.shape[0]
        looks.append(look)
        path = picture_path(folder, len(looks))
        look.answer(kept).save(path.with_suffix(".npz"))
        if not cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]):
            raise OSError(f"cannot write {path}")
    labels = judge_stretch(looks, size, kept)
    labels.save(folder / LABELS)
    return labels


def picture_path(folder: Path, number: int) -> Path:
    """Of a stretch's frame, from 1."""
    return folder / f"{number:06d}.jpg"


def judge_stretch(looks: Sequence[TeacherLook], size: tuple[int, int], kept: tuple[int, int]) -> StretchLabels:
    """Who is a person, who is doubtful."""
    labels = StretchLabels(size, kept, len(looks))
    seen: dict[int, list[tuple[int, int]]] = {}  # identity -> frame and row of each sighting
    for number, look in enumerate(looks, 1):
        tracks = look.tracks
        for identity, row in zip(tracks.ids.tolist(), tracks.detection.tolist(), strict=True):
            if row >= 0:
                seen.setdefault(identity, []).append((number, row))
    owner: dict[tuple[int, int], tuple[int, float]] = {}  # frame, row -> identity, mean score
    ignore: list[tuple[int, F32]] = []
    for identity, sightings in seen.items():
        if len(sightings) < LASTS:
            continue
        mean = float(np.mean([looks[number - 1].scores[row] for number, row in sightings]))
        owner |= {place: (identity, mean) for place in sightings}
        ignore += _hidden(looks, sightings)
    persons, xyxy, scores, embeddings = [], [], [], []
    for number, look in enumerate(looks, 1):
        for row, score in enumerate(look.scores.tolist()):
            if (number, row) in owner:
                identity, mean = owner[number, row]
                persons.append((number, identity))
                xyxy.append(look.xyxy[row])
                scores.append(min(max(score, mean) / CERTAIN, 1.0))
                embeddings.append(look.embeddings[row] if look.embeddings is not None else np.zeros(0, np.float16))
            elif score >= DOUBTFUL:
                ignore.append((number, look.xyxy[row]))
    if persons:
        labels.persons, labels.xyxy = np.array(persons, np.int64), np.array(xyxy, np.float32)
        labels.scores, labels.looks = np.array(scores, np.float32), np.array(embeddings, np.float16)
    if ignore:
        labels.ignored = np.array([number for number, _ in ignore], np.int64)
        labels.ignore = np.array([box for _, box in ignore], np.float32)
    left = [(number, look.tracks) for number, look in enumerate(looks, 1)]
    labels.tracks = np.array(
        [(number, identity) for number, tracks in left for identity in tracks.ids.tolist()], np.int64
    ).reshape(-1, 2)
    labels.tracks_xyxy = np.concatenate([labels.tracks_xyxy, *(tracks.xyxy for _, tracks in left)])
    return labels


def _hidden(looks: Sequence[TeacherLook], sightings: Sequence[tuple[int, int]]) -> Iterator[tuple[int, F32]]:
    """Frame and box of a person between two sightings, along a straight line."""
    for (a, row_a), (b, row_b) in pairwise(sightings):
        if looks[b - 1].time_s - looks[a - 1].time_s > HIDDEN_S:
            continue
        for number in range(a + 1, b):
            share = (number - a) / (b - a)
            box = (1 - share) * looks[a - 1].xyxy[row_a] + share * looks[b - 1].xyxy[row_b]
            yield number, box.astype(np.float32)


def read_labels(
    stretches: Sequence[Stretch], folder: Path, embedding: int
) -> tuple[list[LabelledImage], dict[str, int]]:
    """The pictures of labelled stretches, and how many identities each has; identities are counted on.

    embedding: length of the teacher's looks, for pictures that show nobody.
    """
    images: list[LabelledImage] = []
    identities: dict[str, int] = {}
    for stretch in stretches:
        labels = StretchLabels.load(folder / stretch.name / LABELS)
        shrink: F64 = np.tile(np.array(labels.kept_size) / labels.size, 2)
        first = sum(identities.values())
        known, ids = np.unique(labels.persons[:, 1], return_inverse=True)
        looks = labels.looks if len(labels.looks) else np.zeros((0, embedding), np.float16)
        for number in range(1, labels.frames + 1):
            here, there = labels.persons[:, 0] == number, labels.ignored == number
            images.append(
                LabelledImage(
                    picture_path(folder / stretch.name, number),
                    (labels.xyxy[here] * shrink).astype(np.float32),
                    (first + ids[here]).astype(np.int64),
                    (labels.ignore[there] * shrink).astype(np.float32),
                    stretch.name,
                    number,
                    labels.scores[here],
                    looks[here] if looks.shape[1] else None,
                )
            )
        identities[stretch.name] = len(known)
    return images, identities
