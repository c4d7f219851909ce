"""Member: what one stream has of live adaptation. It learns alone, or with the other streams of its group."""

from collections import deque
from typing import Protocol

from edge.sources.base import Frame
from engines.engine import Engine
from service.adaptation.gathering import Gathering
from service.adaptation.schema import AdaptationView, Choice
from service.errors import Conflict
from service.tracks.events import Event


class Learning(Protocol):
    """What a member belongs to while it adapts: `service.adaptation.adaptation.Adaptation`."""

    @property
    def engine(self) -> Engine | None: ...
    def go_back(self, choice: Choice) -> None: ...
    def view(self) -> AdaptationView: ...


class Member:
    """`observe`, `events` and `engine` are for the device thread, the rest for any."""

    def __init__(self, stream_id: str) -> None:
        """One that does not adapt."""
        self.stream_id = stream_id
        self.k = 1
        """Keyframe period of the stream."""
        self.gathering: Gathering | None = None
        """None where nothing is gathered."""
        self.told: deque[Event] = deque()
        """What the next message shall tell."""
        self.learning: Learning | None = None

    @property
    def engine(self) -> Engine | None:
        """The student in force; None: the pair's own."""
        return None if self.learning is None else self.learning.engine

    def observe(self, frame: Frame) -> None:
        """Note a frame that was tracked. Costs nothing where the stream does not adapt."""
        if (gathering := self.gathering) is not None:
            gathering.offer(frame)

    def events(self) -> list[Event]:
        """What is to be told with the next message."""
        return [self.told.popleft() for _ in range(len(self.told))] if self.told else []

    def go_back(self, choice: Choice) -> None:
        """Put another student in force, which takes a moment. Raises Conflict where there is none."""
        if (learning := self.learning) is None:
            raise Conflict("adapt_is_off", "this stream does not adapt: the pair's own student sees it already")
        learning.go_back(choice)

    def view(self) -> AdaptationView | None:
        """What the API shows; None where the stream does not adapt."""
        return None if (learning := self.learning) is None else learning.view()
