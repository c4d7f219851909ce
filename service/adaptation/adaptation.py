"""Adaptation: a sample, and the student that learns from it, for one stream or a group of streams."""

import logging
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from threading import RLock
from typing import Any

from engines.engine import Engine
from engines.errors import EngineError
from service.adaptation.gathering import Encoding, Gathering
from service.adaptation.member import Member
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


class Adaptation:
    """Any thread. Has members as long as it does anything."""

    def __init__(self, name: str, students: Students, means: Means) -> None:
        """Nothing is kept or done before the first member joins."""
        self.name = name
        """For the log."""
        self.students = students
        """Its files."""
        self.members: dict[str, Member] = {}
        self.sample: Sample | None = None
        self.engine: Engine | None = None
        """The student in force; None: the pair's own."""
        self.standing = Standing()
        """Which one that is."""
        self.verdicts: Counter[str] = Counter()
        self.training: Training | None = None
        self.next_s = 0.0
        """Monotonic time before which no round begins."""
        self._means = means
        self._engines: dict[int, Engine] = {}  # by number: the one in force, and the one before
        self._fit = (0, 0)
        self._restored = False
        self._unavailable: str | None = None
        self._progress = (0.0, "")
        self._last: RoundView | None = None
        self._lock = RLock()

    def join(self, member: Member) -> None:
        """From now on the member's frames are gathered, and it has the student in force."""
        with self._lock:
            if not self.members:
                self._begin()
            self.members[member.stream_id] = member
            member.learning = self
            if self.sample is not None:
                member.gathering = Gathering(
                    self.sample, self._every_s, self._means.encoding, self._fit, member.stream_id
                )
            if self.engine is not None:
                self._means.change_over(member.stream_id, self.engine)

    def leave(self, member: Member) -> None:
        """No more; after the last one the sample is forgotten and a round under way ends. Files stay."""
        with self._lock:
            del self.members[member.stream_id]
            member.learning = member.gathering = None
            member.told.clear()
            if self.engine is not None:
                self._means.change_over(member.stream_id, None)
            if not self.members:
                self.sample = self.engine = None
                self._engines.clear()
                if self.training is not None:
                    self.training.stop()

    def _begin(self) -> None:
        self.next_s = time.monotonic() + self._means.settings.every_s
        self._restored = False
        try:
            check_learning()
            self._fit = self._means.fit()
        except (ApiError, EngineError) as error:
            self._unavailable = str(error)
            log.error("%s does not adapt: %s", self.name, error)
            return
        self._unavailable = None
        self.sample = Sample(self._means.settings.sample_bytes)

    def _every_s(self) -> float:
        """From the beginning of a member's stretch to that of its next."""
        return self._means.settings.every_s / STRETCHES_A_ROUND * max(1, len(self.members))

    def restore(self) -> None:
        """Once: put the student in force that was before the service restarted."""
        with self._lock:
            if self._restored or not self.members:
                return
            self._restored = True
            self.standing = self.students.read()
            if self.standing.current:
                try:
                    self._install(self.standing.current)
                except EngineError as error:  # of another pair, say
                    log.warning("%s begins with the pair's own student: %s", self.name, error)
                    self.standing = Standing(rounds=self.standing.rounds)
                    self.students.write(self.standing)

    @property
    def due(self) -> bool:
        """Whether it is time for a round."""
        sample = self.sample
        return sample is not None and sample.ready and time.monotonic() >= self.next_s

    @property
    def k(self) -> int:
        """Keyframe period to compare students at: the longest of the members'."""
        return max((one.k for one in list(self.members.values())), default=1)

    def begin_round(self, training: Training) -> None:
        """A round is about to begin, unless nobody wants it any more: then it is stopped."""
        with self._lock:
            self._progress, self.training = (0.0, "it begins"), training
            if not self.members:
                training.stop()

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
            if not self.members:
                return
            number = self.standing.rounds + 1
            found = RoundView(
                at=time.time(), **{name: verdict[name] for name in RoundView.model_fields if name != "at"}
            )
            now = self.standing
            if found.verdict == "better":
                self.students.add(number, folder)
                self._install(number)
                now = Standing(number, now.current, number)
            elif found.verdict == "shipped":
                self._install(0)
                now = Standing(0, now.current, number)
            self._finish(replace(now, rounds=number), found)

    def fail(self, reason: str) -> None:
        """A round came to nothing. All go on with the student that they have."""
        with self._lock:
            if not self.members:
                return
            log.error("%s: a round of adaptation failed: %s", self.name, reason)
            number = self.standing.rounds + 1
            self._finish(replace(self.standing, rounds=number), RoundView(at=time.time(), verdict="failed"))

    def _finish(self, standing: Standing, found: RoundView) -> None:
        self._stand(standing)
        self._last = found
        self.verdicts[found.verdict] += 1
        kinds = {"better": "student_adapted", "shipped": "student_reverted", "failed": "adaptation_failed"}
        self._tell(kinds.get(found.verdict, "student_kept"), found)

    def _stand(self, standing: Standing) -> None:
        self.standing = standing
        self.students.write(standing)
        named = (standing.current, standing.before)
        self._engines = {number: engine for number, engine in self._engines.items() if number in named}

    def go_back(self, choice: Choice) -> None:
        """Put another student in force for all members. Raises Conflict where there is none."""
        with self._lock:
            now = self.standing
            wanted = 0 if choice == "shipped" else now.before
            if wanted is None:
                raise Conflict("no_student_before", "there was no change-over yet, so none to take back")
            if wanted == now.current:
                return
            self._install(wanted)
            self._stand(Standing(wanted, now.current, now.rounds))
            self._tell("student_reverted", None)

    def _install(self, number: int) -> None:
        """Load a student unless it is, and change over; the one before stays in force where that fails, with its
        error."""
        before = self.engine
        if number and number not in self._engines:
            self._engines[number] = self._means.open_student(self.students.path(number))
        self.engine = self._engines[number] if number else None
        try:
            self._change_over()
        except BaseException:
            self.engine = before
            self._change_over()
            raise

    def _change_over(self) -> None:
        for done in [self._means.change_over(one, self.engine) for one in self.members]:
            done.result(CHANGE_S)

    def _tell(self, kind: str, found: RoundView | None) -> None:
        event: Event = {"type": kind, "student": self.standing.current}
        if found is not None:
            event |= {"verdict": found.verdict, "scores": found.model_dump()["scores"]}
        told = "" if found is None else f", {found.verdict}: {_shown(found)}"
        for stream_id, member in self.members.items():
            member.told.append(event)
            extra = fields(kind, stream_id=stream_id, student=self.standing.current)
            log.info(
                "stream %s: %s, student %d is in force%s", stream_id, kind, self.standing.current, told, extra=extra
            )

    def view(self) -> AdaptationView:
        """What the API shows."""
        sample, training, standing = self.sample, self.training, self.standing
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
            verdicts=dict(self.verdicts),
            last=self._last,
        )


def _shown(found: RoundView) -> str:
    scores = (f"{name} MOTA {100 * one.mota:.1f} IDF1 {100 * one.idf1:.1f}" for name, one in found.scores.items())
    return "; ".join(scores) or "nothing to compare"
