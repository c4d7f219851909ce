"""Who guesses waits; who floods waits; nobody else does."""

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
    try:
        throttle.check(address)
    except LimitReached as error:
        assert error.code == "too_many_failures"
        return float(error.headers["Retry-After"])
    return 0.0


def test_nobody_waits_at_first() -> None:
    assert wait_s(FailureThrottle(), "10.0.0.1") == 0


def test_waits_double_up_to_a_minute() -> None:
    clock = Clock()
    throttle = FailureThrottle(clock)
    waits = []
    for _ in range(FREE_FAILURES + 10):
        throttle.failed("10.0.0.1")
        waits.append(wait_s(throttle, "10.0.0.1"))
        clock.now += waits[-1]
        assert wait_s(throttle, "10.0.0.1") == 0
    assert waits[: FREE_FAILURES + 3] == [0] * (FREE_FAILURES - 1) + [1, 2, 4, 8]
    assert waits[-1] == LONGEST_WAIT_S
    assert wait_s(throttle, "10.0.0.2") == 0


def test_right_key_and_long_silence_are_forgiven() -> None:
    for way in ("right key", "silence"):
        clock = Clock()
        throttle = FailureThrottle(clock)
        for _ in range(FREE_FAILURES):
            throttle.failed("a")
        assert wait_s(throttle, "a") == 1
        if way == "right key":
            throttle.succeeded("a")
        else:
            clock.now += FORGET_AFTER_S + 1
        throttle.failed("a")
        assert wait_s(throttle, "a") == 0


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


def test_wrong_keys_make_their_sender_wait(start_service) -> None:
    with start_service(api_key=BOOTSTRAP_KEY).http as http:
        for _ in range(FREE_FAILURES):
            assert code_of(http.get("/streams", headers=bearer("wrong"))) == (401, "key_refused")
        answer = http.get("/streams", headers=bearer("wrong"))
        assert code_of(answer) == (429, "too_many_failures")
        assert int(answer.headers["retry-after"]) >= 1


def test_too_many_requests_are_told_when_to_come_again(start_service) -> None:
    with start_service(requests_per_s=1).http as http:
        answers = [http.get("/streams") for _ in range(5)]
        assert [one.status_code for one in answers].count(200) in (2, 3)
        assert code_of(answers[-1]) == (429, "too_many_requests")
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert http.get("/healthz").status_code == 200
