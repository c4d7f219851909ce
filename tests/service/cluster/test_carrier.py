"""Carrier: what streams publish goes to NATS, to the last message; what cannot be sent now is not sent later."""

import asyncio
import time

from service.cluster.bus import BusAway
from service.cluster.carrier import Carrier
from service.runtime import hub_settings
from service.settings import Settings
from service.tracks.hub import TrackHub
from service.tracks.messages import read_head
from tests.service.cluster.fake_node import message
from tests.service.cluster.harness import MAIN, Loop

GRACE_S = 60.0


class Wire:
    """Stands for `Bus`: keeps what is published, while it is there."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.away = False

    async def publish(self, subject: str, payload: bytes) -> None:
        if self.away:
            raise BusAway("away")
        self.sent.append((subject, payload))


async def carried(seqs: list[int], away: set[int]) -> tuple[list[tuple[str, bytes]], float]:
    """What was sent of a stream's messages, and how long the node had to wait for that at its end."""
    hub, wire = TrackHub(asyncio.get_running_loop(), hub_settings(Settings())), Wire()
    carrier = Carrier(wire, hub, MAIN, "hall.0")
    for seq in seqs:
        wire.away = seq in away
        hub.publish(read_head(message("cam.1", 5, seq, 0))[0])
        await asyncio.sleep(0.01)
    hub.close()
    began_s = time.monotonic()
    await hub.drained(GRACE_S)
    await carrier.close()
    return wire.sent, time.monotonic() - began_s


def seqs_of(sent: list[tuple[str, bytes]]) -> list[int]:
    return [read_head(payload)[0].seq for _, payload in sent]


def test_last_message_is_sent_and_then_nobody_waits(loop: Loop) -> None:
    sent, waited_s = loop.do(carried([1, 2], set()))
    assert seqs_of(sent) == [1, 2]
    assert {subject for subject, _ in sent} == {"att.t.main.hall%2E0.cam%2E1"}
    assert waited_s < GRACE_S / 4


def test_what_was_published_while_nats_is_away_is_not_sent_later(loop: Loop) -> None:
    sent, _ = loop.do(carried([1, 2, 3, 4], {2, 3}))
    assert seqs_of(sent) == [1, 4]
