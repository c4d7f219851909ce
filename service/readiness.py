"""Readiness: why the service does not take streams yet, or no more."""

from collections.abc import Callable
from dataclasses import dataclass

StartProgress = Callable[[str, str, float | None], None]
"""Called as (code, what is being done, share of it that is done in 0..1 or None), on any thread."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that stands in the way."""

    code: str
    """Stable: starting, loading_models, building_engines, load_failed, draining, worker_stalled."""
    detail: str
    """For people, such as 'building engines 40%'."""


class Readiness:
    """Reasons by their codes; ready when there is none. Every method may be called on any thread."""

    def __init__(self) -> None:
        self._reasons = {"starting": Reason("starting", "starting")}
        self._started = False

    @property
    def started(self) -> bool:
        """Whether the networks are loaded and the first streams added; stays so until the end."""
        return self._started

    @property
    def reasons(self) -> list[Reason]:
        """What stands in the way; empty when the service takes streams."""
        return list(self._reasons.values())

    def report(self, code: str, what: str, share: float | None = None) -> None:
        """Say what the start is busy with; replaces what it was busy with before. Is a `StartProgress`."""
        self._reasons = {code: Reason(code, what if share is None else f"{what} {share:.0%}")}

    def start(self) -> None:
        """Nothing stands in the way any more."""
        self._started = True
        self._reasons = {}

    def end(self, code: str, detail: str) -> None:
        """The service takes no streams from now on."""
        self._reasons = {**self._reasons, code: Reason(code, detail)}
