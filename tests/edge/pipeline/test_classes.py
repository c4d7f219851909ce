"""Pairs that see several classes, in the whole pipeline: hand-made networks whose answers are known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.ops.host import HostOps
from edge.pipeline.backend import Backend, open_backend
from edge.pipeline.config import LaneSettings, PipelineSettings
from edge.pipeline.pipeline import TrackedFrame, TrackingPipeline
from edge.sources.base import Frame
from engines.errors import SignatureError
from engines.host import HostDevice
from tests.support.drawn import Drawn
from tests.support.scripted_backend import SIZE
from tests.support.scripted_engine import Arrays, ScriptedEngine
from tests.support.tiny_pair import CLASSES, signature, write_pair_of_classes

SCENE = Drawn(((60, 66), (320, 192), (580, 318)), ((400, 0), (20, 0), (-350, 0)))
"""A blue one, a green one and a red one."""


def run(backend: Backend, frames: list[Frame], k: int = 3) -> list[TrackedFrame]:
    pipeline = TrackingPipeline(backend, PipelineSettings(LaneSettings(k, student_every=1), max_lanes=1))
    pipeline.add_lane("a")
    return [pipeline.collect(pipeline.submit({"a": frame}))[0] for frame in frames]


@pytest.mark.parametrize("of_student", [CLASSES, ()])
def test_tracks_are_of_the_class_that_the_teacher_saw(of_student: tuple[str, ...], tmp_path: Path) -> None:
    """Whether or not the student says what it sees."""
    write_pair_of_classes(tmp_path, SIZE, of_student)
    backend = open_backend(tmp_path, SIZE, "cpu", pair="tiny", threads=1)
    assert backend.classes == CLASSES
    names = {}
    for index, tracked in enumerate(run(backend, [SCENE.frame(index) for index in range(24)])):
        truth = SCENE.xyxy(index / 30)
        for identity, box, name in zip(
            tracked.tracks.ids.tolist(), tracked.tracks.xyxy, tracked.class_names, strict=True
        ):
            nearest = int(np.abs(truth - box).sum(1).argmin())
            assert name == ("dog", "car", "person")[nearest]
            assert names.setdefault(identity, name) == name
        seen = tracked.tracks.detection >= 0
        assert seen.sum() == 3 or index in range(9, 18), "somebody is hidden where they pass each other"
    assert len(names) == 3


def test_a_student_of_some_of_the_classes_follows_those_alone(tmp_path: Path) -> None:
    """Its only class is the teacher's first; the rest go on where motion expects them."""
    write_pair_of_classes(tmp_path, SIZE, ("person",))
    still = Drawn(SCENE.starts, ((0, 0),) * 3)
    frames = run(open_backend(tmp_path, SIZE, "cpu", pair="tiny", threads=1), [still.frame(i) for i in range(9)])
    for tracked in frames:
        assert sorted(tracked.class_names) == ["car", "dog", "person"]
        seen = {name for name, row in zip(tracked.class_names, tracked.tracks.detection, strict=True) if row >= 0}
        assert seen == ({"person"} if tracked.kind == "student" else {*CLASSES})


def test_a_student_of_other_classes_is_refused(tmp_path: Path) -> None:
    write_pair_of_classes(tmp_path, SIZE, ("cow",))
    with pytest.raises(SignatureError, match="the student sees cow, the teacher only person, car, dog"):
        open_backend(tmp_path, SIZE, "cpu", pair="tiny", threads=1)


def scripted(teacher: tuple[str, ...], student: tuple[str, ...], x: float) -> Backend:
    """A wide person and a wide car that look alike, `x` cells apart; they move on with each look."""
    left = [20.0, 20.0 + x]

    def see(classes: tuple[str, ...], outputs: Arrays) -> None:
        for row, (at, name) in enumerate(zip(left, ("car", "person"), strict=True)):
            outputs["scores"][row], outputs["embeddings"][row] = 0.9, (1, 0, 0)
            outputs["points"][row] = at, 24
            outputs["boxes"][row] = 4 * at - 28, 82, 4 * at + 28, 110
            if len(classes) > 1:
                outputs["classes"][row] = classes.index(name)
        left[:] = left[0] + x / 20, left[1] - x / 20

    def engine(sign: str, classes: tuple[str, ...]) -> ScriptedEngine:
        signed = replace(signature(sign, SIZE, prior=sign == "student"), classes=classes)
        return ScriptedEngine(signed, lambda _, outputs: see(classes, outputs))

    return Backend(HostDevice(), HostOps(), engine("teacher", teacher), engine("student", student))


FRAMES = [Frame(np.zeros((192, 320, 3), np.uint8), index, index / 30, 0.0, "media") for index in range(21)]


@pytest.mark.parametrize("student", [("car", "person"), ("person", "car")])
def test_two_that_cross_never_swap_whatever_the_order_in_which_networks_name_them(student: tuple[str, ...]) -> None:
    settings = PipelineSettings(LaneSettings(4, student_every=1), max_lanes=1)
    settings = replace(settings, tracker=replace(settings.tracker, widest_aspect=9))
    pipeline = TrackingPipeline(scripted(("person", "car"), student, 30), settings)
    pipeline.add_lane("a")
    for frame in FRAMES:
        (tracked,) = pipeline.collect(pipeline.submit({"a": frame}))
        assert (tracked.tracks.ids.tolist(), tracked.class_names) == ([1, 2], ["car", "person"])
        assert tracked.tracks.detection.tolist() == [0, 1]


def test_a_box_twice_as_wide_as_high_is_a_car_and_no_person() -> None:
    for tracked in run(scripted(("car", "person"), ("car", "person"), 30), FRAMES):
        assert tracked.class_names == ["car"]


def test_a_pair_of_one_class_tells_its_name_and_costs_nothing() -> None:
    backend = scripted(("forklift",), (), 30)
    assert backend.classes == ("forklift",)
    for tracked in run(backend, FRAMES[:5]):
        assert tracked.class_names == ["forklift"] * 2
        assert tracked.tracks.classes is None, "nothing is carried along for it"


def test_a_class_beyond_the_last_is_the_last() -> None:
    """A network that answers nonsense stops no stream."""
    backend = scripted(("person", "car"), (), 30)

    def nonsense(_: Arrays, outputs: Arrays) -> None:
        outputs["scores"][0], outputs["boxes"][0], outputs["classes"][0] = 0.9, (10, 10, 60, 60), 77
        outputs["embeddings"][0] = 1, 0, 0

    assert backend.teacher is not None
    teacher = ScriptedEngine(backend.teacher.signature, nonsense)
    assert run(replace(backend, teacher=teacher), FRAMES[:1])[0].class_names == ["car"]
