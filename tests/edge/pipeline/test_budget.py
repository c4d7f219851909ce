from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.pipeline.budget import BUSY, DEBT_S, SAVED_S, Allowance, grant
from edge.pipeline.look_costs import LookCosts
from edge.pipeline.schedule import Kind, Wish


def _costs(teacher_ms: float = 30, student_ms: float = 7) -> LookCosts:
    costs = LookCosts()
    costs.measure("teacher", 1, teacher_ms / 1e3)
    costs.measure("student", 1, student_ms / 1e3)
    return costs


def test_no_lane_gets_nothing() -> None:
    assert grant({}, _costs(), None) == grant({}, _costs(), 0.0) == {}


def test_without_a_budget_all_wishes_are_granted() -> None:
    wishes = {"a": Wish("teacher", 1.0), "b": Wish("predicted", 0.0), "c": Wish("student", 0.1)}
    assert grant(wishes, _costs(), None) == {"a": "teacher", "b": "predicted", "c": "student"}


def test_overload_turns_teachers_into_students_and_students_into_predictions() -> None:
    wishes = {name: Wish("teacher", 1.0, or_student=True) for name in "abcd"}
    kinds = [list(grant(wishes, _costs(), budget_ms).values()) for budget_ms in (130, 60, 20, 7, 3)]
    assert kinds == [
        ["teacher"] * 4,
        ["teacher", "teacher", "predicted", "predicted"],
        ["student", "student", "predicted", "predicted"],
        ["student", "predicted", "predicted", "predicted"],
        ["teacher", "predicted", "predicted", "predicted"],
    ]
    assert {*grant(wishes, _costs(), 0.0).values()} == {"predicted"}


def test_what_is_worth_most_for_its_cost_comes_first() -> None:
    wishes = {"crowd": Wish("teacher", 9.0), "one": Wish("teacher", 1.0), "cheap": Wish("student", 3.0)}
    assert grant(wishes, _costs(), 37) == {"crowd": "teacher", "one": "predicted", "cheap": "student"}
    assert grant(wishes, _costs(), 8) == {"crowd": "predicted", "one": "predicted", "cheap": "student"}


def test_a_wish_of_infinite_worth_is_granted_whatever_it_costs() -> None:
    wishes = {"fixed": Wish("teacher"), "adaptive": Wish("student", 5.0)}
    assert grant(wishes, _costs(), 10) == {"fixed": "teacher", "adaptive": "predicted"}


def test_before_anything_was_measured_looks_are_granted() -> None:
    assert grant({"a": Wish("teacher", 1.0)}, LookCosts(), 1.0) == {"a": "teacher"}


def test_time_that_passes_is_allowed_up_to_what_can_be_saved_and_a_long_tick_leaves_a_debt() -> None:
    allowance = Allowance(10.0)
    assert allowance.budget_ms(10.0) == allowance.budget_ms(99.0) == 1e3 * SAVED_S
    allowance.spend(0.2)
    assert allowance.budget_ms(99.0) < 0
    assert allowance.budget_ms(99.1) == pytest.approx(1e3 * (SAVED_S - 0.2 + BUSY * 0.1))
    assert allowance.budget_ms(98.0) < 0, "a clock that jumps back gives nothing"


def test_a_debt_of_hours_is_forgiven_within_a_second() -> None:
    allowance, now_s = Allowance(0.0), 0.0
    for _ in range(10_000):  # lanes with a fixed schedule take more than there is
        now_s += 0.4
        allowance.budget_ms(now_s)
        allowance.spend(0.4)
    assert allowance.budget_ms(now_s) >= -1e3 * DEBT_S
    assert allowance.budget_ms(now_s + 1) > 0


def test_in_the_long_run_ticks_take_no_more_than_their_share_of_the_time() -> None:
    allowance, now_s, spent_s = Allowance(0.0), 0.0, 0.0
    while now_s < 30:
        took_s = 0.001 + (0.03 if allowance.budget_ms(now_s) > 0 else 0.0)
        allowance.spend(took_s)
        spent_s += took_s
        now_s += max(took_s, 0.005)
    assert spent_s <= BUSY * now_s + SAVED_S + 0.031
    assert spent_s >= 0.8 * BUSY * now_s


kinds = st.sampled_from(["teacher", "student", "predicted"])


@given(st.lists(st.tuples(kinds, st.floats(0, 100), st.booleans()), max_size=20), st.floats(0, 500))
def test_the_budget_is_kept_but_for_one_look_and_no_look_is_dearer_than_its_wish(
    wanted: list[tuple[Kind, float, bool]], budget_ms: float
) -> None:
    wishes = {str(i): Wish(kind, worth, more) for i, (kind, worth, more) in enumerate(wanted)}
    cost = {"teacher": 30.0, "student": 7.0, "predicted": 0.0}
    granted = grant(wishes, _costs(), budget_ms)
    assert list(granted) == list(wishes)
    looks = [cost[kind] for kind in granted.values() if kind != "predicted"]
    assert sum(looks) <= budget_ms + 1e-6 or (len(looks) == 1 and budget_ms > 0)
    for name, wish in wishes.items():
        assert cost[granted[name]] <= cost[wish.kind]
        assert wish.worth < inf


def test_the_costs_of_a_batch_are_those_of_the_nearest_size_measured() -> None:
    costs = LookCosts()
    assert costs.ms("teacher", 3) == 0
    costs.measure("teacher", 1, 0.030)
    costs.measure("teacher", 4, 0.080)
    assert [round(costs.ms("teacher", batch)) for batch in (1, 2, 3, 4, 9)] == [30, 30, 20, 20, 20]
    for _ in range(30):
        costs.measure("student", 1, 0.009)
        costs.measure("teacher", 1, 0.030)
    assert costs.student_share == 0.3
