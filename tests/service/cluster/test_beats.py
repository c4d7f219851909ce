"""Beats: who lives, and who may judge that, by one clock that the test moves."""

from service.cluster.beats import HOLE_S, SETTLED_S, TTL_S, Beats

ME, OTHER = "me/1", "other/1"


def listened(until_s: float, beats: Beats | None = None, since_s: float = 0.0) -> Beats:
    beats = beats or Beats(ME)
    beats.connected(since_s)
    now = since_s
    while now <= until_s:
        beats.receive(ME, {}, now)
        now += 0.5
    return beats


def test_nobody_lives_before_a_beat() -> None:
    assert Beats(ME).live(0.0) == {}
    assert not Beats(ME).seasoned(100.0)


def test_silent_life_is_dead_after_its_time() -> None:
    beats = Beats(ME)
    beats.receive(OTHER, {"capacity": 3}, 0.0)
    assert beats.live(TTL_S) == {OTHER: {"capacity": 3}}
    assert beats.live(TTL_S + 0.01) == {}


def test_goodbye_is_heard_at_once() -> None:
    beats = Beats(ME)
    beats.receive(OTHER, {}, 0.0)
    beats.goodbye(OTHER)
    assert beats.live(0.1) == {}


def test_seasoned_is_who_has_heard_itself_without_a_hole() -> None:
    assert not listened(TTL_S - 0.6).seasoned(TTL_S - 0.5)
    assert listened(TTL_S).seasoned(TTL_S)


def test_hole_makes_unseasoned_until_it_has_listened_anew() -> None:
    beats = listened(10.0)
    assert not beats.seasoned(10.0 + HOLE_S + 0.1), "it hears nothing: it may be the one who is cut off"
    beats.receive(ME, {}, 12.0)
    assert not beats.seasoned(12.0)
    assert listened(12.0 + TTL_S, beats, since_s=12.0).seasoned(12.0 + TTL_S)


def test_new_connection_gives_everybody_time_to_be_heard() -> None:
    beats = listened(10.0)
    beats.receive(OTHER, {}, 9.0)
    beats.connected(60.0)
    assert OTHER in beats.live(60.0 + TTL_S)
    assert not beats.seasoned(60.0)


def test_who_has_not_listened_for_long_misses_nobody() -> None:
    beats = Beats()
    assert not beats.misses(100.0)
    beats.connected(100.0)
    assert not beats.misses(100.0 + TTL_S - 0.1)
    assert beats.misses(100.0 + TTL_S)
    beats.connected(200.0)
    assert not beats.misses(200.1)


def test_settled_is_who_has_been_there_for_a_while() -> None:
    beats = Beats(ME)
    beats.receive(OTHER, {}, 0.0)
    assert not beats.settled(OTHER, SETTLED_S - 0.1)
    assert beats.settled(OTHER, SETTLED_S)
    beats.receive(OTHER, {}, 100.0)
    assert not beats.settled(OTHER, 101.0), "it was away"
