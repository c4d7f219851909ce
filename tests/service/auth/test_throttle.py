"""Who guesses waits; who floods waits; nobody else does."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.auth.throttle import FORGET_AFTER_S, FREE_FAILURES, LONGEST_WAIT_S, MOST, FailureThrottle, RateLimit
from service.errors import LimitReached
from tests.service.auth.keyed import BOOTSTRAP_KEY, bearer, code_of


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def wait_s(throttle: FailureThrottle, address: str) -> float:
    """Fail once more: how long that has to wait."""
    try:
        throttle.failed(address)
    except LimitReached as error:
        assert error.code == "too_many_failures"
        return float(error.headers["Retry-After"])
    return 0.0


def test_first_wrong_keys_are_free() -> None:
    throttle = FailureThrottle(Clock())
    assert [wait_s(throttle, "10.0.0.1") for _ in range(FREE_FAILURES + 1)] == [0] * FREE_FAILURES + [1]


def test_waits_double_up_to_a_minute() -> None:
    clock = Clock()
    throttle = FailureThrottle(clock)
    for _ in range(FREE_FAILURES):
        assert wait_s(throttle, "10.0.0.1") == 0
    waits = []
    for _ in range(10):
        waits.append(wait_s(throttle, "10.0.0.1"))
        assert wait_s(throttle, "10.0.0.1") == waits[-1], "who does not wait does not wait longer"
        clock.now += waits[-1]
        assert wait_s(throttle, "10.0.0.1") == 0
    assert waits[:4] == [1, 2, 4, 8]
    assert waits[-1] == LONGEST_WAIT_S
    assert wait_s(throttle, "10.0.0.2") == 0


def test_long_silence_is_forgiven() -> None:
    clock = Clock()
    throttle = FailureThrottle(clock)
    for _ in range(FREE_FAILURES):
        throttle.failed("a")
    clock.now += FORGET_AFTER_S + 1
    assert [wait_s(throttle, "a") for _ in range(2)] == [0, 0]


def test_network_of_one_ipv6_host_is_one_address() -> None:
    throttle = FailureThrottle()
    for number in range(FREE_FAILURES):
        throttle.failed(f"2001:db8::{number}")
    assert wait_s(throttle, "2001:db8::ffff") == 1
    assert wait_s(throttle, "2001:db8:0:1::1") == 0


def test_memory_is_bounded() -> None:
    throttle, limit = FailureThrottle(), RateLimit(10)
    for number in range(MOST + 100):
        throttle.failed(str(number))
        limit.take(str(number))
    assert len(throttle._failures) == len(limit._buckets) == MOST


@given(st.lists(st.floats(0, 2), min_size=1, max_size=300), st.floats(0.5, 50))
def test_rate_is_never_exceeded_by_more_than_the_bucket(gaps: list[float], per_s: float) -> None:
    clock = Clock()
    limit, passed = RateLimit(per_s, clock), 0
    for gap in gaps:
        clock.now += gap
        try:
            limit.take("a")
        except LimitReached as error:
            assert int(error.headers["Retry-After"]) >= 1
        else:
            passed += 1
    assert passed <= max(1, 2 * per_s) + per_s * sum(gaps) + 1e-6


def test_wrong_keys_make_their_sender_wait_and_nobody_who_holds_a_right_one(start_service) -> None:
    with start_service(api_key=BOOTSTRAP_KEY).http as http:
        for _ in range(FREE_FAILURES):
            assert code_of(http.get("/streams", headers=bearer("wrong"))) == (401, "key_refused")
        for _ in range(3):
            answer = http.get("/streams", headers=bearer("wrong"))
            assert code_of(answer) == (429, "too_many_failures")
            assert int(answer.headers["retry-after"]) >= 1
            assert code_of(http.get("/streams", params={"ticket": "wrong"})) == (429, "too_many_failures")
            assert http.get("/streams", headers=bearer(BOOTSTRAP_KEY)).status_code == 200  # and resets nothing
            ticket = http.post("/tickets", headers=bearer(BOOTSTRAP_KEY)).json()["ticket"]
            assert http.get("/streams", params={"ticket": ticket}).status_code == 200


@pytest.mark.parametrize("trusted", [False, True])
def test_forwarded_addresses_are_believed_of_trusted_proxies_alone(start_service, trusted: bool) -> None:
    settings = {"trusted_proxies": ["127.0.0.0/8"]} if trusted else {}
    with start_service(api_key=BOOTSTRAP_KEY, **settings).http as http:
        codes = [
            code_of(http.get("/streams", headers={**bearer("wrong"), "X-Forwarded-For": f"10.0.0.{number}"}))[0]
            for number in range(FREE_FAILURES + 3)
        ]
        assert (429 in codes) is not trusted


def test_use_and_refusal_of_keys_are_logged_without_the_keys(start_service, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), start_service(api_key=BOOTSTRAP_KEY).http as http:
        for _ in range(3):
            http.get("/streams", headers=bearer(BOOTSTRAP_KEY))
        http.get("/streams", headers=bearer("wrong-key-of-the-tests"))
        http.get("/streams", params={"ticket": "wrong-ticket-of-the-tests"})
    told = [(one.event, one.address) for one in caplog.records if hasattr(one, "address")]
    assert told == [("key_used", "127.0.0.1"), ("key_refused", "127.0.0.1"), ("ticket_refused", "127.0.0.1")]
    ours = "\n".join(one.getMessage() for one in caplog.records if one.name != "httpx")
    assert BOOTSTRAP_KEY not in ours
    assert "wrong-" not in ours


def test_too_many_requests_are_told_when_to_come_again(start_service) -> None:
    with start_service(requests_per_s=1).http as http:
        answers = [http.get("/streams") for _ in range(5)]
        assert [one.status_code for one in answers].count(200) in (2, 3)
        assert code_of(answers[-1]) == (429, "too_many_requests")
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert http.get("/healthz").status_code == 200
