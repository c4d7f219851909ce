"""Adaptation: what one stream keeps of live adaptation: its sample, its student, and what it has to tell."""

import logging
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Condition, RLock
from typing import Any

from edge.sources.base import Frame
from engines.engine import Engine
from engines.errors import EngineError
from service.adaptation.gathering import Encoding, Gathering
from service.adaptation.sample import KEPT_EVERY, Sample
from service.adaptation.schema import AdaptationView, Choice, Phase, RoundView
from service.adaptation.settings import AdaptationSettings, check_learning
from service.adaptation.students import Standing, Students
from service.adaptation.training import Training
from service.errors import ApiError, Conflict
from service.logs import fields
from service.tracks.events import Event

log = logging.getLogger(__name__)

STRETCHES_A_ROUND = 4 * KEPT_EVERY
CHANGE_S = 30.0
"""For the device thread to change over between two ticks."""


@dataclass(frozen=True, slots=True)
class Means:
    """What all adaptations of a service share."""

    settings: AdaptationSettings
    encoding: Encoding
    fit: Callable[[], tuple[int, int]]
    """Width and height that pictures to learn from fit into."""
    open_student: Callable[[Path], Engine]
    change_over: Callable[[str, Engine | None], "Future[None]"]
    """Has the device thread set a stream's student between two ticks; None: the pair's own."""
    news: Condition
    """Rung when there may be work for the thread that learns."""


class Adaptation:
    """Of one stream. `observe` and `events` are for the device thread, the rest for any."""

    def __init__(self, stream_id: str, students: Students, means: Means) -> None:
        """Nothing is kept or done before `turn`."""
        self.stream_id = stream_id
        self.on = False
        self.k = 1
        """Keyframe period to compare students at."""
        self.sample: Sample | None = None
        self.engine: Engine | None = None
        """The student in force; None: the pair's own."""
        self.verdicts: Counter[str] = Counter()
        self.training: Training | None = None
        self.next_s = 0.0
        """Monotonic time before which no round begins."""
        self._students, self._means = students, means
        self._gathering: Gathering | None = None
        self._standing = Standing()
        self._restored = False
        self._unavailable: str | None = None
        self._progress = (0.0, "")
        self._last: RoundView | None = None
        self._told: deque[Event] = deque()
        self._lock = RLock()

    def turn(self, on: bool, k: int) -> None:
        """Adapt from now on, or no more: then the sample is forgotten, and the pair's own student sees the stream."""
        self.k = k
        with self._lock:
            if on == self.on:
                return
            self.on, self._restored = on, False
            if on:
                self._begin()
            else:
                self._end()
        with self._means.news:
            self._means.news.notify_all()

    def _begin(self) -> None:
        settings = self._means.settings
        self.next_s = time.monotonic() + settings.every_s
        try:
            check_learning()
            fit = self._means.fit()
        except (ApiError, EngineError) as error:
            self._unavailable = str(error)
            log.error("stream %s does not adapt: %s", self.stream_id, error)
            return
        self._unavailable = None
        self.sample = Sample(settings.sample_bytes)
        every_s = settings.every_s / STRETCHES_A_ROUND
        self._gathering = Gathering(self.sample, every_s, self._means.encoding, fit)

    def _end(self) -> None:
        self._gathering = self.sample = None
        if self.training is not None:
            self.training.stop()
        if self.engine is not None:
            self.engine = None
            self._means.change_over(self.stream_id, None)
        self._standing = Standing(rounds=self._standing.rounds)
        self._students.forget()

    def close(self) -> None:
        """The service ends, or lets the stream go: what has learnt stays."""
        with self._lock:
            self.on, self._gathering, self.sample = False, None, None
            if self.training is not None:
                self.training.stop()

    def observe(self, frame: Frame) -> None:
        """Note a frame that was tracked. Costs nothing where the stream does not adapt."""
        if (gathering := self._gathering) is not None:
            gathering.offer(frame)

    def events(self) -> list[Event]:
        """What is to be told with the next message."""
        return [self._told.popleft() for _ in range(len(self._told))] if self._told else []

    def restore(self) -> None:
        """Once: put the student in force that was before the service restarted."""
        with self._lock:
            if self._restored or not self.on:
                return
            self._restored = True
            standing = self._students.read()
            self._standing = standing
            if standing.current:
                try:
                    self._install(standing.current)
                except EngineError as error:  # of another pair, say
                    log.warning("stream %s begins with the pair's own student: %s", self.stream_id, error)
                    self._standing = Standing(rounds=standing.rounds)
                    self._students.write(self._standing)

    @property
    def due(self) -> bool:
        """Whether it is time for a round."""
        sample = self.sample
        return self.on and sample is not None and sample.ready and time.monotonic() >= self.next_s

    @property
    def students(self) -> Students:
        """Its files."""
        return self._students

    @property
    def standing(self) -> Standing:
        """Which student is in force."""
        return self._standing

    def end_round(self) -> None:
        """A round has ended, however it did."""
        self.training = None
        self.next_s = time.monotonic() + self._means.settings.every_s

    def progress(self, share: float, doing: str) -> None:
        """A round is under way."""
        self._progress = (share, doing)

    def decide(self, verdict: dict[str, Any], folder: Path) -> None:
        """Do what a round came to; the new student lies in `folder`. Raises EngineError where it cannot be run."""
        with self._lock:
            if not self.on:
                return
            number = self._standing.rounds + 1
            found = RoundView(
                at=time.time(), **{name: verdict[name] for name in RoundView.model_fields if name != "at"}
            )
            now = self._standing
            if found.verdict == "better":
                self._students.add(number, folder)
                self._install(number)
                now = Standing(number, now.current, number)
            elif found.verdict == "shipped":
                self._install(0)
                now = Standing(0, now.current, number)
            self._finish(replace(now, rounds=number), found)

    def fail(self, reason: str) -> None:
        """A round came to nothing. The stream goes on with the student that it has."""
        with self._lock:
            if not self.on:
                return
            log.error("stream %s: a round of adaptation failed: %s", self.stream_id, reason)
            number = self._standing.rounds + 1
            self._finish(replace(self._standing, rounds=number), RoundView(at=time.time(), verdict="failed"))

    def _finish(self, standing: Standing, found: RoundView) -> None:
        self._standing, self._last = standing, found
        self._students.write(standing)
        self.verdicts[found.verdict] += 1
        kinds = {"better": "student_adapted", "shipped": "student_reverted", "failed": "adaptation_failed"}
        self._tell(kinds.get(found.verdict, "student_kept"), found)

    def go_back(self, choice: Choice) -> None:
        """Put another student in force, which takes a moment. Raises Conflict where there is none."""
        with self._lock:
            if not self.on:
                raise Conflict("adapt_is_off", "this stream does not adapt: the pair's own student sees it already")
            now = self._standing
            wanted = 0 if choice == "shipped" else now.before
            if wanted is None:
                raise Conflict("no_student_before", "there was no change-over yet, so none to take back")
            if wanted == now.current:
                return
            self._install(wanted)
            self._standing = Standing(wanted, now.current, now.rounds)
            self._students.write(self._standing)
            self._tell("student_reverted", None)

    def _install(self, number: int) -> None:
        """Load a student and change over; the one before stays in force where that fails, with its error."""
        before = self.engine
        engine = self._means.open_student(self._students.path(number)) if number else None
        self.engine = engine
        try:
            self._means.change_over(self.stream_id, engine).result(CHANGE_S)
        except BaseException:
            self.engine = before
            raise

    def _tell(self, kind: str, found: RoundView | None) -> None:
        event: Event = {"type": kind, "student": self._standing.current}
        if found is not None:
            event |= {"verdict": found.verdict, "scores": found.model_dump()["scores"]}
        self._told.append(event)
        extra = fields(kind, stream_id=self.stream_id, student=self._standing.current)
        told = "" if found is None else f", {found.verdict}: {_shown(found)}"
        log.info(
            "stream %s: %s, student %d is in force%s", self.stream_id, kind, self._standing.current, told, extra=extra
        )

    def view(self) -> AdaptationView | None:
        """What the API shows; None where the stream does not adapt."""
        if not self.on:
            return None
        sample, training, standing = self.sample, self.training, self._standing
        phase: Phase = "gathering"
        doing, share = "keeping stretches of frames to learn from", None
        if self._unavailable is not None:
            phase, doing = "unavailable", self._unavailable
        elif training is not None:
            phase = "learning"
            share, doing = self._progress
        return AdaptationView(
            phase=phase,
            doing=doing,
            share=share,
            student=standing.current,
            before=standing.before,
            rounds=standing.rounds,
            next_round=round(time.time() + max(0.0, self.next_s - time.monotonic()), 1) if training is None else None,
            stretches=0 if sample is None else sum(1 for _ in sample),
            sample_mb=0 if sample is None else round(sample.nbytes / 1e6, 2),
            last=self._last,
        )


def _shown(found: RoundView) -> str:
    scores = (f"{name} MOTA {100 * one.mota:.1f} IDF1 {100 * one.idf1:.1f}" for name, one in found.scores.items())
    return "; ".join(scores) or "nothing to compare"
