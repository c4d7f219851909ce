"""Gateway: the front door of a cluster, without networks. Starts as `atttrack gateway`; any number may run."""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Coroutine, Iterator
from typing import Any

from nats.aio.msg import Msg
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.auth.guard import Guard
from service.auth.keys import KeyRing
from service.cluster.asking import Question
from service.cluster.beats import BEAT_S, Beats
from service.cluster.bucket import Bucket, read_table, subscribe_table
from service.cluster.bus import Bus, BusAway, WriteRefused
from service.cluster.follow import Follower
from service.cluster.options import ClusterOptions
from service.cluster.shared_keys import SharedBucketTickets, SharedKeys
from service.cluster.site_streams import SiteStreams
from service.cluster.subjects import SiteSubjects, life_of, name_of, node_of
from service.cluster.table import Table
from service.ending import end
from service.errors import ApiError
from service.logs import fields
from service.metrics import Metrics
from service.readiness import Reason
from service.runtime import VERSION, first_cameras, hub_settings
from service.settings import Settings
from service.tracks.hub import TrackHub

log = logging.getLogger(__name__)

REREAD_S = 10.0
HISTORY_S = 2.0
"""Longest wait for what a node has kept."""


class Gateway:
    """Implements `service.backend.Backend`."""

    def __init__(self, settings: Settings, options: ClusterOptions) -> None:
        self.settings, self.options = settings, options
        self.metrics = Metrics(VERSION)
        self.failure: Exception | None = None
        self.stalled = False
        self.notice: str | None = None
        self.subjects = SiteSubjects(options.site)
        self.table = Table(self._changed)
        self.beats = Beats()
        self.bus: Bus
        self.hub: TrackHub
        self.streams: SiteStreams
        self.follower: Follower
        self.keys: SharedKeys
        self.read_once = False
        """Whether the streams are known."""
        self._closing = False
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Begin to connect and return; what needs NATS is refused until it is there."""
        self.bus = Bus(self.options.bus, begin=self._begin)
        self.hub = TrackHub(asyncio.get_running_loop(), hub_settings(self.settings))
        site, domain = self.options.site, self.options.domain
        self.streams = SiteStreams(self.bus, site, domain, self.table, self.hub, self.settings)
        self.follower = Follower(self.bus, self.subjects, self.hub, self.knows)
        self.keys = SharedKeys(self.bus)
        self.metrics.registry.register(_Gauges(self))
        forever: list[Coroutine[Any, Any, None]] = [self.bus.run(), self._reread(), self._listen_to_beats()]
        self._tasks = [asyncio.create_task(one) for one in [*forever, self._add_first()]]

    async def drain(self) -> None:
        """Let subscribers take what is queued, and close them."""
        if self._closing:
            return
        self._closing = True
        self.hub.close()
        self.streams.close()
        await self.hub.drained(self.settings.shutdown_grace_s)
        await end(*self._tasks)

    def guard(self) -> Guard:
        """Who may ask here: the keys and tickets of all gateways. Until they were read, nobody may."""
        return Guard(KeyRing(self.keys, self.settings.bootstrap_key), self.settings, SharedBucketTickets(self.bus))

    @property
    def readiness(self) -> "GatewayReadiness":
        """Whether it takes streams."""
        return GatewayReadiness(self)

    def knows(self, stream_id: str) -> bool:
        """Whether there is such a stream."""
        return self.table.spec(stream_id) is not None

    def live(self) -> dict[str, dict[str, Any]]:
        """Nodes heard of lately, by life, with what they say of themselves."""
        return {life: dict(body) for life, body in self.beats.live(time.monotonic()).items()}

    async def refill(self, stream_id: str, from_seq: int) -> None:
        """Bring what a stream has sent since `from_seq` here, as far as its node has kept it."""
        with contextlib.suppress(BusAway, ValueError):
            question = Question("GET", f"/node/history/{stream_id}", f"from_seq={from_seq}")
            answer = await self.streams.ask_owner(stream_id, question, HISTORY_S)
            if answer.status == 200:
                self.follower.refill(stream_id, (await answer.whole()).splitlines())

    async def _begin(self, bus: Bus) -> None:
        self.beats.connected(time.monotonic())
        await bus.subscribe(self.subjects.beats, self._hear)
        await subscribe_table(bus, self.subjects, self.table)
        await read_table(Bucket(bus, self.subjects.bucket, self.options.domain), self.table)
        await self.keys.begin(bus)
        await self.follower.reconnected()
        self.read_once = True

    async def _hear(self, message: Msg) -> None:
        _, _, _, node, life = message.subject.split(".")
        who = life_of(name_of(node), life)
        if message.data == b"bye":
            self.beats.goodbye(who)
        else:
            self.beats.receive(who, json.loads(message.data), time.monotonic())
        self.streams.live = self.live()

    async def _listen_to_beats(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            self.streams.live, self.streams.heard_all = self.live(), self.beats.misses(time.monotonic())
            self.beats.forget_old(time.monotonic())

    async def _reread(self) -> None:
        while True:
            await asyncio.sleep(REREAD_S)
            with contextlib.suppress(BusAway, WriteRefused):
                await read_table(Bucket(self.bus, self.subjects.bucket, self.options.domain), self.table)
                await self.keys.reread()

    def _changed(self, kind: str, stream_id: str) -> None:
        if kind == "spec" and self.table.spec(stream_id) is None:
            self.streams.removed(stream_id)
        if kind == "lease" and (lease := self.table.lease(stream_id)) is not None and lease.owner:
            self.follower.fence.claimed(stream_id, lease.revision)

    async def _add_first(self) -> None:
        """Add the streams of the settings that are not there yet."""
        wanted = first_cameras(self.settings)
        while wanted and not (self.read_once and self.live()):
            await asyncio.sleep(BEAT_S)
        for camera in wanted:
            if camera.id is not None and not self.knows(camera.id):
                try:
                    await self.streams.add(camera)
                except ApiError as error:
                    extra = fields("stream_refused", stream_id=camera.id, code=error.code)
                    log.error("cannot start with %s: %s: %s", camera.id, error.code, error.detail, extra=extra)


class GatewayReadiness:
    """Ready while NATS is there."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    @property
    def started(self) -> bool:
        """Whether the streams are known."""
        return self._gateway.read_once

    @property
    def reasons(self) -> list[Reason]:
        """What stands in the way."""
        bus = self._gateway.bus
        if bus.connected:
            return []
        return [Reason("nats_away", f"NATS cannot be reached: {bus.error or 'not connected yet'}")]


class _Gauges(Collector):
    """What is read when Prometheus asks."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def collect(self) -> Iterator[Metric]:
        """Yield each metric with its value now."""
        gateway = self._gateway
        yield GaugeMetricFamily(
            "atttrack_ready", "1 while the service takes streams.", value=float(gateway.bus.connected)
        )
        nodes = {node_of(life) for life in gateway.live()}
        yield GaugeMetricFamily("atttrack_cluster_nodes", "Nodes heard of lately.", value=len(nodes))
        streams = gateway.table.stream_ids()
        yield GaugeMetricFamily("atttrack_cluster_streams", "Streams of the site.", value=len(streams))
        unowned = sum(gateway.streams.owner(one) is None for one in streams)
        yield GaugeMetricFamily("atttrack_cluster_streams_unplaced", "Streams that no node has.", value=unowned)
        yield CounterMetricFamily(
            "atttrack_cluster_messages_refused",
            "Messages of owners that were deposed, or that came late.",
            value=gateway.follower.fence.refused,
        )
