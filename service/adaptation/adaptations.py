"""Adaptations: the thread that has students learn, one stream after the other, as long as the service runs."""

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
        self._news = threading.Condition()
        self._encoding = Encoding()
        self._means = Means(settings, self._encoding, self._fit, open_student, change_over, self._news)
        lent = Path(tempfile.gettempdir()) / f"atttrack-students-{secrets.token_hex(8)}"
        self._folder = settings.students or lent  # which is made when there is something to put there
        self._adapting: dict[str, Adaptation] = {}
        self._thread: threading.Thread | None = None
        self._stopping = False

    def of(self, stream_id: str) -> Adaptation:
        """Make a stream's. Nothing is done before `follow`."""
        return Adaptation(stream_id, Students(self._folder / stream_id), self._means)

    def follow(self, one: Adaptation, on: bool, k: int) -> None:
        """A stream shall adapt, or no more."""
        if not on and not one.on:
            return
        if on:
            with self._news:
                if self._stopping:
                    return
                self._adapting[one.stream_id] = one
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="adaptation", daemon=True)
                    self._thread.start()
        else:
            self._let_go(one)
        one.turn(on, k)

    def end(self, one: Adaptation) -> None:
        """A stream is gone from here."""
        self._let_go(one)
        one.close()

    def forget(self, stream_id: str) -> None:
        """Delete what a stream that is removed has learnt."""
        Students(self._folder / stream_id).forget()

    def close(self) -> None:
        """End the round under way, with all pictures; what was learnt stays where it is to stay."""
        with self._news:
            self._stopping = True
            self._news.notify_all()
        for one in list(self._adapting.values()):
            one.close()
        if self._thread is not None:
            self._thread.join(CLOSE_S)
        self._encoding.close()
        if self._settings.students is None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _fit(self) -> tuple[int, int]:
        """The larger of both networks' inputs."""
        files = self._files()
        (a, b), (c, d) = files.size, files.teacher_size
        return max(a, c), max(b, d)

    def _let_go(self, one: Adaptation) -> None:
        with self._news:
            if self._adapting.get(one.stream_id) is one:
                del self._adapting[one.stream_id]

    def _run(self) -> None:
        sweep()
        while True:
            with self._news:
                self._news.wait_for(lambda: self._stopping, LOOK_S)
                if self._stopping:
                    return
                adapting = list(self._adapting.values())
            for one in adapting:
                try:
                    one.restore()
                except Exception:  # one stream's fault touches no other
                    log.exception("stream %s: its student cannot be restored", one.stream_id)
            if due := [one for one in adapting if one.due]:
                self._round(min(due, key=lambda one: one.next_s))

    def _round(self, one: Adaptation) -> None:
        """Have a stream's student learn, and decide."""
        sample = one.sample
        if sample is None:
            return
        one.progress(0.0, "it begins")
        try:
            training = one.training = Training(self._settings, self._files())
            if one.on:
                before = one.students.predecessor(one.standing.current)
                training.run(sample, before, one.k, one.progress, one.decide)
        except TrainingFailed as error:
            one.fail(str(error))
        except Exception as error:  # whatever it is, the stream goes on
            log.exception("stream %s: a round of adaptation broke", one.stream_id)
            one.fail(f"unexpected: {error}")
        finally:
            one.end_round()
