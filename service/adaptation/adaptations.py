"""Adaptations: the thread that has students learn, one after the other, as long as the service runs."""

import logging
import secrets
import shutil
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from edge.pipeline.backend import PairFiles
from engines.engine import Engine
from service.adaptation.adaptation import Adaptation, Means
from service.adaptation.gathering import Encoding
from service.adaptation.member import Member
from service.adaptation.settings import AdaptationSettings
from service.adaptation.students import Students
from service.adaptation.training import Training, TrainingFailed, sweep

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""Between two looks at what is due."""
CLOSE_S = 5.0


class Adaptations:
    """All streams'. The thread begins with the first stream that adapts. Any thread."""

    def __init__(
        self,
        settings: AdaptationSettings,
        files: Callable[[], PairFiles],
        open_student: Callable[[Path], Engine],
        change_over: Callable[[str, Engine | None], "Future[None]"],
    ) -> None:
        """`files`: of the pair; may raise EngineError, when they are needed. The others: see `Means`."""
        self._settings, self._files = settings, files
        lent = Path(tempfile.gettempdir()) / f"atttrack-students-{secrets.token_hex(8)}"
        self._folder = settings.students or lent  # which is made when there is something to put there
        self._encoding = Encoding()
        self._means = Means(settings, self._encoding, self._fit, open_student, change_over)
        self._joining = threading.Lock()  # who joins and who leaves
        self._adapting: dict[str, Adaptation] = {}  # by folder
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def follow(self, member: Member, adapt: bool, group: str | None, k: int) -> None:
        """A stream shall adapt, with its group where it has one, or shall not. Waits while students are changed."""
        member.k = k
        key = _key(member.stream_id, group)
        with self._joining:
            joined = self._joined(member)
            if joined == (key if adapt else None):
                return
            if joined is not None:
                self._leave(member, joined, forget=True)
            if adapt and not self._stopping.is_set():
                self._join(member, key)

    def end(self, member: Member, removed: bool) -> None:
        """A stream is gone from here. `removed`: it is nobody's any more, so what it alone has learnt goes, too."""
        with self._joining:
            joined = self._joined(member)
            if joined is not None:
                self._leave(member, joined, forget=removed)
            if removed:
                self._students(_key(member.stream_id, None)).forget()

    def close(self) -> None:
        """End the round under way, with all pictures; what was learnt stays where it is to stay."""
        self._stopping.set()
        with self._joining:
            for key, adaptation in list(self._adapting.items()):
                for member in list(adaptation.members.values()):
                    self._leave(member, key, forget=False)
        if self._thread is not None:
            self._thread.join(CLOSE_S)
        self._encoding.close()
        if self._settings.students is None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _joined(self, member: Member) -> str | None:
        """Where a stream belongs now."""
        return next((key for key, one in self._adapting.items() if member.stream_id in one.members), None)

    def _join(self, member: Member, key: str) -> None:
        if key not in self._adapting:
            self._adapting[key] = Adaptation(key.replace("-", " ", 1), self._students(key), self._means)
        self._adapting[key].join(member)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="adaptation", daemon=True)
            self._thread.start()

    def _leave(self, member: Member, key: str, forget: bool) -> None:
        adaptation = self._adapting[key]
        adaptation.leave(member)
        if not adaptation.members:
            del self._adapting[key]
            if forget:
                adaptation.students.forget()

    def _students(self, key: str) -> Students:
        return Students(self._folder / key)

    def _fit(self) -> tuple[int, int]:
        """The larger of both networks' inputs."""
        files = self._files()
        (a, b), (c, d) = files.size, files.teacher_size
        return max(a, c), max(b, d)

    def _run(self) -> None:
        sweep()
        while not self._stopping.wait(LOOK_S):
            with self._joining:
                adapting = list(self._adapting.values())
            for one in adapting:
                try:
                    one.restore()
                except Exception:  # one stream's fault touches no other
                    log.exception("%s: its student cannot be restored", one.name)
            if due := [one for one in adapting if one.due]:
                self._round(min(due, key=lambda one: one.next_s))

    def _round(self, one: Adaptation) -> None:
        """Have a student learn, and decide."""
        sample = one.sample
        if sample is None:
            return
        try:
            training = Training(self._settings, self._files())
            one.begin_round(training)
            training.run(sample, one.students.predecessor(one.standing.current), one.k, one.progress, one.decide)
        except TrainingFailed as error:
            one.fail(str(error))
        except Exception as error:  # whatever it is, the streams go on
            log.exception("%s: a round of adaptation broke", one.name)
            one.fail(f"unexpected: {error}")
        finally:
            one.end_round()


def _key(stream_id: str, group: str | None) -> str:
    """Name of a folder; ids are fit for that."""
    return f"stream-{stream_id}" if group is None else f"group-{group}"
