"""A source at work: its states, waited for, and its frames, read by a thread."""

import threading
from dataclasses import replace

from edge.sources.base import Frame, Source, SourceState


class Watch:
    """States of a source, and waits for one of them."""

    def __init__(self) -> None:
        self.states: list[SourceState] = []
        self._changed = threading.Condition()

    def __call__(self, state: SourceState) -> None:
        with self._changed:
            self.states.append(state)
            self._changed.notify_all()

    def wait(self, phase: str, code: str | None = None) -> SourceState:
        return self.wait_for_any((phase, code))

    def wait_for_any(self, *wanted: tuple[str, str | None]) -> SourceState:
        """The state as soon as it is one of these."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._last() in wanted, 30), self.states
            return self.states[-1]

    def _last(self) -> tuple[str, str | None] | None:
        return (self.states[-1].phase, self.states[-1].code) if self.states else None


class Reader:
    """A thread that reads a source to its end."""

    def __init__(self, source: Source) -> None:
        self.frames: list[Frame] = []
        self.source = source
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        for frame in self.source:
            self.frames.append(replace(frame, pixels=frame.image[:1, :1].copy()))

    def __enter__(self) -> "Reader":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.source.close()
        self._thread.join(20)
        assert not self._thread.is_alive()
