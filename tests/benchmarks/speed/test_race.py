"""The race: the same frames for everybody, ratios to ours, growth, and a reason for whoever is not there."""

import importlib.util
from importlib.metadata import PackageNotFoundError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.speed import peers
from benchmarks.speed.association import OURS, Runner, growth, race, race_table
from benchmarks.speed.peers import PEERS, Peer, open_peers
from testbed.crowd import Crowd


def test_nobody_else_and_nobody_to_track() -> None:
    runners, missing = race(0, 3, [])
    assert [(runner.name, runner.ratio) for runner in runners] == [(OURS, 1.0)]
    assert missing == {}


def test_growth_of_one_size_is_unknown() -> None:
    assert growth({}) is None
    assert growth({50: 2.0}) is None
    assert growth({0: 1.0, 50: 2.0}) is None


@given(st.floats(0.5, 3), st.floats(0.01, 10))
def test_growth_is_the_exponent(exponent: float, factor: float) -> None:
    assert growth({n: factor * n**exponent for n in (10, 50, 200, 500)}) == pytest.approx(exponent, abs=0.011)


def test_everybody_sees_every_frame_and_the_slow_one_has_the_larger_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def update(detections: object) -> None:
        seen.append(len(detections))  # type: ignore[arg-type]
        sum(range(200_000))

    monkeypatch.setitem(PEERS, "sloth", lambda: Peer("sloth", "sloth 1", lambda detections: detections, update))
    runners, _ = race(3, 5, ["sloth"])
    crowd = Crowd(3)
    assert seen == [len(crowd.step()[0]) for _ in range(25)]
    assert {runner.name: runner.ratio > 1 for runner in runners} == {OURS: False, "sloth": True}


def test_who_is_not_installed_is_left_out_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr(peers, "version", nothing)
    opened, missing = open_peers(list(PEERS))
    assert opened == []
    assert missing.keys() == PEERS.keys()
    assert all("pip install" in reason for reason in missing.values())


def test_the_table_has_a_line_for_each_tracker() -> None:
    runners = [Runner(OURS, "", n, 0.01 * n, 1.0, 1.0) for n in (10, 100)]
    lines = race_table([*runners, Runner("other", "1", 10, 3.0, 4.0, 30.0)]).splitlines()
    assert lines[1].split() == [OURS, "0.10", "ms", "1.0x", "1.00", "ms", "1.0x", "1.0"]
    assert lines[2].split() == ["other", "3.00", "ms", "30.0x", "-", "None"]


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
