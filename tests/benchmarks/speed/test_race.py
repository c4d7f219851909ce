"""The race: the same frames for everybody, ratios to ours, growth, and a reason for whoever is not there."""

import importlib.util
from importlib.metadata import PackageNotFoundError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.speed import peers
from benchmarks.speed.association import OURS, Racer, Spread, growth, race, table
from benchmarks.speed.peers import PEERS, Peer, open_peers
from testbed.crowd import Crowd


def test_nobody_else_and_nobody_to_track() -> None:
    (ours,), missing = race(0, 3, [])
    assert (ours.name, ours.ratio, ours.tracks, missing) == (OURS, 1.0, 0, {})
    assert 0 < ours.wall.p50_ms <= ours.wall.p95_ms
    assert 0 < ours.core.p50_ms <= ours.core.p95_ms


def test_nearly_everybody_is_tracked_while_the_clock_runs() -> None:
    assert 15 < race(20, 30, [])[0][0].tracks <= 20


def test_growth_of_one_size_is_unknown() -> None:
    assert growth({}) is None
    assert growth({50: 2.0}) is None
    assert growth({0: 1.0, 50: 2.0}) is None


@given(st.floats(0.5, 3), st.floats(0.01, 10))
def test_growth_is_the_exponent(exponent: float, factor: float) -> None:
    assert growth({n: factor * n**exponent for n in (10, 50, 200, 500)}) == pytest.approx(exponent, abs=0.011)


def test_everybody_sees_every_frame_and_the_slow_one_has_the_larger_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def update(detections: object) -> list[int]:
        seen.append(len(detections))  # type: ignore[arg-type]
        return [sum(range(200_000))]

    monkeypatch.setitem(PEERS, "sloth", lambda: Peer("sloth", "sloth 1", lambda detections: detections, update))
    racers, _ = race(3, 5, ["sloth"])
    crowd = Crowd(3)
    assert seen == [len(crowd.step()[0]) for _ in range(25)]
    assert {racer.name: racer.ratio > 1 for racer in racers} == {OURS: False, "sloth": True}


def test_who_is_not_installed_is_left_out_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr(peers, "version", nothing)
    opened, missing = open_peers(list(PEERS))
    assert opened == []
    assert missing.keys() == PEERS.keys()
    assert all("pip install" in reason for reason in missing.values())


def test_the_table_has_a_line_for_each_tracker() -> None:
    fast, slow = Spread(0.1, 0.2), Spread(3.0, 4.0)
    racers = [Racer(OURS, "", n, 9.5, fast, Spread(0.01 * n, 1.0), 1.0) for n in (10, 100)]
    lines = table([*racers, Racer("other", "1", 10, 8.0, slow, slow, 30.0)]).splitlines()
    assert [line.split()[0] for line in lines] == ["tracker", OURS, "other", OURS, OURS, "other"]
    assert lines[2].split()[1:] == ["10", "8.0", "3.000/4.000", "3.000/4.000", "30.0"]
    assert [line.split()[-1] for line in lines[-2:]] == ["people^1.0", "people^None"]


@pytest.mark.parametrize("name", PEERS)
def test_an_installed_peer_tracks_most_of_a_crowd(name: str) -> None:
    (package,) = {"trackers"} if name != "norfair" else {"norfair"}
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed: see benchmarks/speed/association.py")
    (peer,), _ = open_peers([name])
    crowd = Crowd(20)
    for _ in range(30):
        found = peer.update(peer.convert(crowd.step()[0]))
    assert len(found) > 10
