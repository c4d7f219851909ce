"""Who takes which stream: decisions of one node from what it knows. Nothing here waits, writes or reads a clock.

Nobody is elected and there is no master: each node looks at its table of leases and takes what is free, up to its fair
share. The one write that makes it the owner is refused by the server when somebody else was faster.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

NOBODY = ""
"""Owner of a lease that was given back."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Who has a stream. Its revision is the run of that stream: it grows for ever."""

    owner: str | None
    """A life, or NOBODY; None: the lease was deleted, and a claim has to expect that revision."""
    revision: int


@dataclass(frozen=True, slots=True)
class Offer:
    """What a live node says of itself."""

    capacity: int
    """Streams that it takes at most."""
    weight: int | None = None
    """Streams that it could carry at full quality, as measured; None: not measured yet."""
    draining: bool = False
    settled: bool = True
    """Heard of for long enough that others give streams back for it."""

    @property
    def takes(self) -> int:
        """Streams that it may have."""
        return 0 if self.draining else self.capacity


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a node knows when it decides."""

    me: str
    """Its life."""
    specs: Collection[str]
    """Ids of all streams of the site."""
    leases: Mapping[str, Lease]
    live: Mapping[str, Offer]
    """Lives heard of lately, the own one included."""
    running: Mapping[str, int]
    """Streams that this node runs -> their run."""
    seasoned: bool
    """Whether it has heard its own beat for long enough to call others dead."""
    leaving: bool = False
    """Whether the node ends: whatever it has is given back."""
    may_balance: bool = False
    """Whether it is time to give one stream back to who has less."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, each part in this order."""

    release: tuple[str, ...] = ()
    """Streams to stop, since somebody else has them or nobody wants them."""
    adopt: tuple[tuple[str, int], ...] = ()
    """Streams to run, with their run."""
    forget: tuple[tuple[str, int], ...] = ()
    """Leases, with their revisions, of streams that were removed: delete them and their counts."""
    give_back: tuple[str, ...] = ()
    """Streams to stop and to leave to others."""
    claim: tuple[tuple[str, int], ...] = ()
    """Free streams, with the revision that the write has to expect; 0: none."""


def decide(situation: Situation) -> Decision:
    """Return what this node shall do now."""
    mine = {one: lease for one, lease in situation.leases.items() if lease.owner == situation.me}
    wanted = {one: lease.revision for one, lease in mine.items() if one in situation.specs}
    adopt = tuple((one, run) for one, run in wanted.items() if situation.running.get(one) != run)
    release = tuple(one for one, run in situation.running.items() if _is_lost(situation, one, run))
    forget = tuple(
        (one, lease.revision)
        for one, lease in situation.leases.items()
        if lease.owner is not None and one not in situation.specs and (one in mine or _is_free(situation, one))
    )
    if situation.leaving:
        return Decision(release, (), forget, tuple(wanted))
    counts = Counter(lease.owner for one, lease in situation.leases.items() if lease.owner and one in situation.specs)
    shares = fair_shares(len(situation.specs), situation.live)
    free = [one for one in situation.specs if _is_free(situation, one)]
    room = shares.get(situation.me, 0) - len(wanted)
    chosen = sorted(free, key=lambda one: _rank(situation.me, one))[: max(0, room)]
    claim = tuple((one, situation.leases[one].revision if one in situation.leases else 0) for one in chosen)
    give_back = _given_back(
        situation, sorted(wanted, key=lambda one: _rank(situation.me, one)), counts, shares, bool(free)
    )
    return Decision(release, adopt, forget, give_back, claim)


def fair_shares(streams: int, live: Mapping[str, Offer]) -> dict[str, int]:
    """Life -> streams that it shall have: in proportion to what was measured, and no more than it takes.

    Every node that knows the same of the others comes to the same numbers. Together they are as many as there are, or
    fit; equal nodes differ by one at most.
    """
    weights = _weights(live)
    shares = dict.fromkeys(live, 0)
    open_lives = [life for life in sorted(live) if live[life].takes > 0]
    left = min(streams, sum(live[life].takes for life in open_lives))
    while left:
        total = sum(weights[life] for life in open_lives)
        full = [life for life in open_lives if left * weights[life] >= live[life].takes * total]
        if not full:
            break
        for life in full:  # it gets all that it takes; the others share the rest
            shares[life] = live[life].takes
            open_lives.remove(life)
        left = min(streams, sum(one.takes for one in live.values())) - sum(shares.values())
    if not left:
        return shares
    for life in open_lives:
        shares[life] = left * weights[life] // total
    by_remainder = sorted(open_lives, key=lambda life: (-(left * weights[life] % total), life))
    for life in by_remainder[: left - sum(shares[life] for life in open_lives)]:
        shares[life] += 1
    return shares


def _weights(live: Mapping[str, Offer]) -> dict[str, int]:
    """Who has measured nothing yet is taken for the mean of those who have; where nobody has, capacities count."""
    measured = [offer.weight for offer in live.values() if offer.weight]
    mean = sum(measured) // len(measured) if measured else None
    return {life: max(1, offer.weight or mean or offer.capacity) for life, offer in live.items()}


def _is_lost(situation: Situation, stream_id: str, run: int) -> bool:
    """The table is the truth; a lease that it does not know yet is no reason to stop."""
    if stream_id not in situation.specs:
        return True
    lease = situation.leases.get(stream_id)
    return lease is not None and lease.revision >= run and (lease.owner != situation.me or lease.revision > run)


def _is_free(situation: Situation, stream_id: str) -> bool:
    lease = situation.leases.get(stream_id)
    if lease is None or not lease.owner:
        return True
    return situation.seasoned and lease.owner not in situation.live


def _given_back(
    situation: Situation, mine: Sequence[str], counts: Counter[str], shares: Mapping[str, int], free: bool
) -> tuple[str, ...]:
    """Streams to leave to others: all that fit elsewhere while draining, else one for who has two less."""
    if not situation.seasoned:
        return ()
    others = {life: offer for life, offer in situation.live.items() if life != situation.me}
    if situation.live[situation.me].draining:
        room = sum(max(0, offer.takes - counts[life]) for life, offer in others.items())
        return tuple(mine[:room])
    if free or not situation.may_balance or len(mine) <= shares[situation.me]:
        return ()
    weights = _weights(situation.live)
    after = [
        (counts[life] + 1) / weights[life]
        for life, offer in others.items()
        if offer.settled and counts[life] < shares[life]
    ]
    # After the move the other may be as full as this node is then, and no fuller: else streams would go to and fro.
    return tuple(mine[:1]) if after and min(after) <= (len(mine) - 1) / weights[situation.me] else ()


def _rank(life: str, stream_id: str) -> bytes:
    """Nodes begin at different ends, so that they seldom want the same stream."""
    return hashlib.blake2b(f"{life}\0{stream_id}".encode(), digest_size=8).digest()
