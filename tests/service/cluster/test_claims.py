"""Claims: decisions of nodes, alone and as a machine of many nodes, a bucket, lost answers and late news."""

from collections import Counter
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from service.cluster.claims import NOBODY, Lease, Offer, Situation, decide, fair_shares

ME = "hall/1"
ALONE = Situation(me=ME, specs=(), leases={}, live={ME: Offer(4)}, running={}, seasoned=True)


def test_nothing_to_do_without_streams() -> None:
    assert decide(ALONE) == replace(decide(ALONE), release=(), adopt=(), forget=(), give_back=(), claim=())


def test_free_stream_is_claimed_at_the_revision_that_is_known() -> None:
    assert decide(replace(ALONE, specs=("a",))).claim == (("a", 0),)
    assert decide(replace(ALONE, specs=("a",), leases={"a": Lease(NOBODY, 7)})).claim == (("a", 7),)
    assert decide(replace(ALONE, specs=("a",), leases={"a": Lease(None, 9)})).claim == (("a", 9),)


def test_no_more_is_claimed_than_there_is_room_for() -> None:
    assert len(decide(replace(ALONE, specs=[f"s{i}" for i in range(10)])).claim) == 4


def test_who_is_not_seasoned_calls_nobody_dead() -> None:
    situation = replace(ALONE, specs=("a",), leases={"a": Lease("gone/1", 5)})
    assert decide(replace(situation, seasoned=False)).claim == ()
    assert decide(situation).claim == (("a", 5),)


def test_stream_of_a_live_node_is_left_alone() -> None:
    live = {ME: Offer(4), "other/1": Offer(4)}
    assert decide(replace(ALONE, specs=("a",), leases={"a": Lease("other/1", 5)}, live=live)).claim == ()


def test_former_self_is_somebody_else() -> None:
    assert decide(replace(ALONE, specs=("a",), leases={"a": Lease("hall/0", 5)})).adopt == ()


def test_own_lease_is_adopted_with_its_run_and_a_higher_one_anew() -> None:
    situation = replace(ALONE, specs=("a",), leases={"a": Lease(ME, 5)})
    assert decide(situation).adopt == (("a", 5),)
    assert decide(replace(situation, running={"a": 5})).adopt == ()
    assert decide(replace(situation, running={"a": 3})).adopt == (("a", 5),)


def test_stream_is_released_when_it_is_somebody_elses_or_gone() -> None:
    situation = replace(ALONE, specs=("a",), running={"a": 5})
    assert decide(replace(situation, leases={"a": Lease("other/1", 6)})).release == ("a",)
    assert decide(replace(situation, leases={"a": Lease(NOBODY, 6)})).release == ("a",)
    assert decide(replace(situation, specs=())).release == ("a",)
    assert decide(replace(situation, leases={"a": Lease("other/1", 4)})).release == (), "old news"
    assert decide(replace(situation, leases={})).release == (), "no news"


def test_lease_of_a_removed_stream_is_deleted_by_its_owner_or_by_anybody_when_nobody_has_it() -> None:
    live = {ME: Offer(4), "other/1": Offer(4)}
    for owner, forgotten in ((ME, True), (NOBODY, True), ("gone/1", True), ("other/1", False), (None, False)):
        situation = replace(ALONE, leases={"a": Lease(owner, 5)}, live=live)
        assert decide(situation).forget == ((("a", 5),) if forgotten else ()), owner


def test_leaving_node_gives_everything_back_and_claims_nothing() -> None:
    situation = replace(ALONE, specs=("a", "b"), leases={"a": Lease(ME, 5)}, running={"a": 5}, leaving=True)
    assert decide(situation).give_back == ("a",)
    assert decide(situation).claim == ()


def test_draining_node_gives_back_what_fits_elsewhere() -> None:
    leases = {one: Lease(ME, 5) for one in "abc"}
    live = {ME: Offer(4, draining=True), "other/1": Offer(2)}
    situation = replace(ALONE, specs="abc", leases=leases, live=live, running=dict.fromkeys("abc", 5))
    assert len(decide(situation).give_back) == 2
    assert decide(replace(situation, live={ME: Offer(4, draining=True)})).give_back == ()


def test_one_stream_goes_to_who_has_two_less_and_none_to_who_has_one_less() -> None:
    leases = {one: Lease(ME, 5) for one in "abc"}
    live = {ME: Offer(4), "other/1": Offer(4)}
    situation = replace(ALONE, specs="abc", leases=leases, live=live, running=dict.fromkeys("abc", 5), may_balance=True)
    assert len(decide(situation).give_back) == 1
    assert decide(replace(situation, may_balance=False)).give_back == ()
    assert decide(replace(situation, live={ME: Offer(4), "other/1": Offer(4, settled=False)})).give_back == ()
    assert decide(replace(situation, leases={**leases, "c": Lease("other/1", 5)})).give_back == ()


@pytest.mark.parametrize(
    ("streams", "live", "shares"),
    [
        (0, {}, {}),
        (5, {}, {}),
        (10, {"a": Offer(9), "b": Offer(9), "c": Offer(9)}, {"a": 4, "b": 3, "c": 3}),
        (10, {"a": Offer(2), "b": Offer(9), "c": Offer(9)}, {"a": 1, "b": 5, "c": 4}),
        (30, {"a": Offer(2), "b": Offer(9)}, {"a": 2, "b": 9}),
        (9, {"a": Offer(9, weight=2), "b": Offer(9, weight=1)}, {"a": 6, "b": 3}),
        (9, {"a": Offer(9, weight=3), "b": Offer(9)}, {"a": 5, "b": 4}),
        (4, {"a": Offer(9, draining=True), "b": Offer(9)}, {"a": 0, "b": 4}),
    ],
)
def test_shares_follow_what_was_measured_and_never_exceed_what_is_taken(
    streams: int, live: dict[str, Offer], shares: dict[str, int]
) -> None:
    assert fair_shares(streams, live) == shares


OFFERS = st.builds(
    Offer, st.integers(0, 40), st.none() | st.integers(1, 60), st.booleans() | st.just(False), st.just(True)
)


@given(st.integers(0, 200), st.dictionaries(st.text("abcdef", min_size=1, max_size=4), OFFERS, max_size=8))
def test_shares_add_up_to_all_streams_or_all_room(streams: int, live: dict[str, Offer]) -> None:
    shares = fair_shares(streams, live)
    assert sum(shares.values()) == min(streams, sum(offer.takes for offer in live.values()))
    assert all(0 <= shares[life] <= offer.takes for life, offer in live.items())
    alike = Counter((offer.takes, offer.weight) for offer in live.values())
    for kind in alike:
        same = [shares[life] for life, offer in live.items() if (offer.takes, offer.weight) == kind]
        assert max(same) - min(same) <= 1


@dataclass
class Bucket:
    """What the server does: one write at a time, each compared with the newest revision."""

    rows: dict[str, Lease] = field(default_factory=dict)
    revision: int = 0
    log: list[tuple[str, Lease]] = field(default_factory=list)

    def write(self, stream: str, owner: str | None, expected: int) -> int | None:
        known = self.rows.get(stream)
        if (known.revision if known else 0) != expected:
            return None
        self.revision += 1
        self.rows[stream] = Lease(owner, self.revision)
        self.log.append((stream, self.rows[stream]))
        return self.revision


@dataclass
class Node:
    """A node with a table that may be behind, and an idea of who lives that may be wrong."""

    life: str
    table: dict[str, Lease] = field(default_factory=dict)
    read: int = 0
    running: dict[str, int] = field(default_factory=dict)
    heard: set[str] = field(default_factory=set)
    seasoned: bool = False

    def learn(self, stream: str, lease: Lease) -> None:
        if stream not in self.table or self.table[stream].revision < lease.revision:
            self.table[stream] = lease


class ClusterMachine(RuleBasedStateMachine):
    """Nodes that beat late, news that is late, answers that are lost, nodes that die: never two owners of one run."""

    @initialize(streams=st.integers(1, 12), nodes=st.integers(1, 4))
    def begin(self, streams: int, nodes: int) -> None:
        self.specs = [f"s{i}" for i in range(streams)]
        self.bucket = Bucket()
        self.nodes = {f"n{i}/0": Node(f"n{i}/0") for i in range(nodes)}
        for node in self.nodes.values():
            node.heard = set(self.nodes)
        self.runs: dict[tuple[str, int], str] = {}
        self.lives = nodes

    def tick(self, node: Node, *, lost_answer: bool = False, balance: bool = False) -> bool:
        live = {life: Offer(20) for life in node.heard | {node.life}}
        situation = Situation(node.life, self.specs, node.table, live, node.running, node.seasoned, may_balance=balance)
        decision = decide(situation)
        if decision == replace(decision, release=(), adopt=(), forget=(), give_back=(), claim=()):
            return False
        for stream in decision.release:
            node.running.pop(stream)
        for stream, run in decision.adopt:
            node.running[stream] = run
        for stream in decision.give_back:
            node.running.pop(stream, None)
            if (revision := self.bucket.write(stream, NOBODY, node.table[stream].revision)) is not None:
                node.learn(stream, Lease(NOBODY, revision))
        for stream, expected in decision.claim:
            revision = self.bucket.write(stream, node.life, expected)
            if revision is not None and not lost_answer:
                node.learn(stream, Lease(node.life, revision))
        return True

    @rule(data=st.data(), lost_answer=st.booleans(), balance=st.booleans())
    def a_node_ticks(self, data: st.DataObject, lost_answer: bool, balance: bool) -> None:
        self.tick(self.nodes[data.draw(st.sampled_from(sorted(self.nodes)))], lost_answer=lost_answer, balance=balance)

    @rule(data=st.data(), count=st.integers(1, 20))
    def news_arrives(self, data: st.DataObject, count: int) -> None:
        node = self.nodes[data.draw(st.sampled_from(sorted(self.nodes)))]
        for stream, lease in self.bucket.log[node.read : node.read + count]:
            node.learn(stream, lease)
        node.read = min(len(self.bucket.log), node.read + count)

    @rule(data=st.data(), seasoned=st.booleans())
    def beats_are_late(self, data: st.DataObject, seasoned: bool) -> None:
        node = self.nodes[data.draw(st.sampled_from(sorted(self.nodes)))]
        node.heard = set(data.draw(st.lists(st.sampled_from(sorted(self.nodes)), unique=True)))
        node.seasoned = seasoned

    @precondition(lambda self: len(self.nodes) > 1)
    @rule(data=st.data())
    def a_node_dies_and_comes_back_as_another(self, data: st.DataObject) -> None:
        dead = data.draw(st.sampled_from(sorted(self.nodes)))
        del self.nodes[dead]
        new = f"{dead.partition('/')[0]}/{self.lives}"
        self.lives += 1
        self.nodes[new] = Node(new, heard=set(self.nodes) | {new})

    @rule()
    def at_rest_every_stream_has_one_owner_and_shares_differ_by_one(self) -> None:
        for node in self.nodes.values():
            node.heard, node.seasoned = set(self.nodes), True
        for _ in range(200):
            for node in self.nodes.values():
                for stream, lease in self.bucket.log[node.read :]:
                    node.learn(stream, lease)
                node.read = len(self.bucket.log)
            if not any([self.tick(node, balance=True) for node in self.nodes.values()]):
                break
        else:
            raise AssertionError("they never come to rest")
        shares = Counter(owner for node in self.nodes.values() for owner in [node.life] * len(node.running))
        assert sum(shares.values()) == len(self.specs)
        assert max(shares[life] for life in self.nodes) - min(shares[life] for life in self.nodes) <= 1

    @invariant()
    def nobody_shares_a_run(self) -> None:
        for life, node in getattr(self, "nodes", {}).items():
            for stream, run in node.running.items():
                assert self.runs.setdefault((stream, run), life) == life


ClusterMachine.TestCase.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestCluster = ClusterMachine.TestCase
