"""One budget for all lanes: how much time a tick has, and which of the lanes' wishes it grants."""

from collections.abc import Iterable, Mapping
from math import inf

from edge.pipeline.look_costs import LookCosts
from edge.pipeline.schedule import Kind, Wish

BUSY = 0.9
"""Share of the time that ticks may take; the rest is for whoever else runs here."""
SAVED_S = 0.06
"""Time that was not used is good for so much later: a longer tick would let frames grow old."""

DEBT_S = 0.5
"""A debt grows no larger: when what kept the ticks busy is gone, looks are to be had again soon."""


class Allowance:
    """How long the looks of the next tick may take, so that ticks keep up with the cameras. Seconds of one clock.

    Time passes into it and ticks are paid from it. A tick that took longer than there was leaves a debt.
    """

    def __init__(self, now_s: float) -> None:
        self._saved_s = SAVED_S
        self._until_s = now_s

    def budget_ms(self, now_s: float) -> float:
        """Of a tick that begins now; not above 0 while a debt is paid back."""
        self._saved_s = min(SAVED_S, self._saved_s + BUSY * max(0.0, now_s - self._until_s))
        self._until_s = now_s
        return 1e3 * self._saved_s

    def spend(self, seconds: float) -> None:
        """A tick took so long, all its work included."""
        self._saved_s = max(self._saved_s - seconds, -DEBT_S)


def grant(wishes: Mapping[str, Wish], costs: LookCosts, budget_ms: float | None) -> dict[str, Kind]:
    """Lane -> who sees its frame, in the order of `wishes`.

    The looks that are worth most for what they cost come first; the very first is granted even where it costs more than
    the budget, if there is any. What the budget no longer holds turns from the teacher's look into the student's where
    that is possible, and else into a prediction. A wish of infinite worth is granted whatever it costs. budget_ms: None
    for as much as is wished.
    """
    kinds: dict[str, Kind] = {lane_id: wish.kind for lane_id, wish in wishes.items()}
    if budget_ms is None:
        return kinds
    left_ms = budget_ms - sum(_ms(wish.kind, costs) for wish in wishes.values() if wish.worth == inf)
    looks = [lane_id for lane_id, wish in wishes.items() if wish.kind != "predicted" and wish.worth < inf]
    first = left_ms > 0
    for lane_id in sorted(looks, key=lambda one: -_worth_per_ms(wishes[one], costs)):
        wish = wishes[lane_id]
        options: list[Kind] = [wish.kind]
        if wish.or_student:
            options.append("student")
        dearest: Kind = wish.kind if first else "predicted"
        kinds[lane_id] = next((kind for kind in options if _ms(kind, costs) <= left_ms), dearest)
        left_ms -= _ms(kinds[lane_id], costs)
        first = False
    return kinds


def left_ms(kinds: Iterable[Kind], costs: LookCosts, budget_ms: float) -> float:
    """What these looks leave of a budget."""
    return budget_ms - sum(_ms(kind, costs) for kind in kinds)


def _ms(kind: Kind, costs: LookCosts) -> float:
    return 0.0 if kind == "predicted" else costs.ms(kind, 1)


def _worth_per_ms(wish: Wish, costs: LookCosts) -> float:
    return wish.worth / max(_ms(wish.kind, costs), 1e-3)
