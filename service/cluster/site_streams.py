"""SiteStreams: what the routes of a gateway ask about the streams of its site: specs from the table, live numbers from
the nodes."""

import asyncio
import contextlib
import json
import logging
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from service.cameras.url_policy import UrlPolicy
from service.cluster.asking import NodeAnswer, Question, ask
from service.cluster.bucket import Bucket
from service.cluster.bus import Bus, BusAway, WriteRefused
from service.cluster.claims import Offer
from service.cluster.remote import RemoteFeed, RemoteStream
from service.cluster.spec_document import HIDDEN, SpecDocument
from service.cluster.subjects import SiteSubjects, key, node_of
from service.cluster.table import Table
from service.errors import (
    ApiError,
    Conflict,
    NotReady,
    Refused,
    check_version,
    stream_differs,
    stream_not_found,
)
from service.lane_fields import as_fields
from service.logs import fields
from service.settings import Settings
from service.streams.schema import NewStream, StateView, StatsView, StreamPatch, StreamView
from service.streams.spec import StreamSpec
from service.tracks.hub import TrackHub

log = logging.getLogger(__name__)

VIEW_S = 2.0
"""Longest wait for the live numbers of one node."""
PLACE_S = 1.0
"""Longest wait of who adds a stream for a node to take it."""
PLACED_S = 3.0
"""A stream that nobody took for so long has no room."""
JSON = [("content-type", "application/json")]


class SiteStreams:
    """Implements `service.backend.Streams`. Event loop only."""

    def __init__(
        self, bus: Bus, site: str, domain: str | None, table: Table, hub: TrackHub, settings: Settings
    ) -> None:
        self._bus, self._subjects, self._table, self._hub = bus, SiteSubjects(site), table, hub
        self._bucket = Bucket(bus, self._subjects.bucket, domain)
        self._secrets = Bucket(bus, self._subjects.secrets, domain)
        self._lane = settings.lane
        self._policy: UrlPolicy = settings.url_policy
        self._feeds: dict[str, RemoteFeed] = {}
        self.live: Mapping[str, Mapping[str, Any]] = {}
        """Nodes heard of lately, by life, with what they say of themselves."""
        self.heard_all = False
        """Whether it was listened for so long that there are no others."""

    async def add(self, new: NewStream, idempotency_key: str | None = None) -> tuple[RemoteStream, bool]:
        """Return the stream and whether it is new. Raises Refused, Conflict or NotReady."""
        spec = StreamSpec.from_request(new, self._lane, idempotency_key)
        if (known := self._known(spec.id, new)) is not None:
            return known, False
        revision = self._table.row("spec", spec.id).revision  # as it was when there was no such stream
        shown, has_credentials = await self._checked(spec)
        document, hidden = SpecDocument.of(spec, shown, has_credentials, time.time())
        if not await self._write(document, hidden, revision):
            await self._reread(spec.id)
            if (known := self._known(spec.id, new)) is not None:
                return known, False
            raise Conflict("stream_exists", f"somebody else adds or removes stream {spec.id!r} just now; try again")
        log.info("stream %s added: %s", spec.id, shown, extra=fields("stream_added", stream_id=spec.id))
        await self._place(spec.id)
        return self.get(spec.id), True

    async def update(self, stream_id: str, patch: StreamPatch, if_match: str | None = None) -> RemoteStream:
        """Change a stream and wait until its node runs it so.

        Raises NotFound, PreconditionFailed, Refused or NotReady.
        """
        while True:
            row = self._table.row("spec", stream_id)
            before = self._document(stream_id)
            check_version(self.etag(stream_id), if_match)
            spec = before.changed(patch, self._lane)
            shown, has_credentials = before.spec.url, before.has_credentials
            moved = spec.url != before.spec.url or spec.credentials != before.spec.credentials
            if moved or spec.lane.mode != before.spec.lane.mode:
                found, with_login = await self._checked(spec)
                shown = shown if spec.url == before.spec.url else found
                has_credentials = with_login or spec.credentials is not None
            document, hidden = SpecDocument.of(spec, shown, has_credentials, before.created_at, before)
            if document == before:
                return self.get(stream_id)
            if await self._write(document, hidden, row.revision):
                break
            await self._reread(stream_id)  # somebody else was faster; look again at what there is now
        for name in {*before.secrets.values()} - {*document.secrets.values()}:
            with contextlib.suppress(BusAway, WriteRefused):
                await self._secrets.delete(name)
        await self.settle(stream_id)
        return self.get(stream_id)

    async def remove(self, stream_id: str, if_match: str | None = None) -> None:
        """Remove a stream; whoever runs it stops. Raises NotFound, PreconditionFailed or NotReady."""
        while True:
            document = self._document(stream_id)
            check_version(self.etag(stream_id), if_match)
            row = self._table.row("spec", stream_id)
            try:
                revision = await self._bucket.delete(key("spec", stream_id), row.revision)
            except WriteRefused:
                await self._reread(stream_id)
                continue
            except BusAway as away:
                raise nats_away(away) from None
            break
        self._table.apply("spec", stream_id, revision, None)
        for name in document.secrets.values():
            with contextlib.suppress(BusAway, WriteRefused):
                await self._secrets.delete(name)
        log.info("stream %s removed", stream_id, extra=fields("stream_removed", stream_id=stream_id))

    def get(self, stream_id: str) -> RemoteStream:
        """Return a stream. Raises NotFound."""
        spec = self._document(stream_id).spec
        feed = self._feeds.get(stream_id)
        if feed is None:
            feed = self._feeds[stream_id] = RemoteFeed(stream_id, self.ask_owner)
        return RemoteStream(stream_id, spec, feed)

    def etag(self, stream_id: str) -> str:
        """Return the name of the stream's present specification. Raises NotFound."""
        row = self._table.row("spec", stream_id)
        if row.value is None:
            raise stream_not_found(stream_id)
        return f'"{row.revision:x}"'

    async def view(self, stream_id: str) -> StreamView:
        """Return a stream as the API shows it. Raises NotFound."""
        document = self._document(stream_id)
        try:
            answer = await self.ask_owner(stream_id, Question("GET", f"/streams/{stream_id}"), VIEW_S)
            if answer.status == 200:
                return self._told(document, json.loads(await answer.whole()))
        except BusAway:
            pass
        return self._untold(document)

    async def views(self) -> list[StreamView]:
        """Return all streams as the API shows them, oldest first."""
        owners: dict[str, set[str]] = defaultdict(set)
        for stream_id in self._table.stream_ids():
            if (node := self.owner(stream_id)) is not None:
                owners[node].add(stream_id)
        answers = await asyncio.gather(*(self._listed(node, "streams") for node in owners))
        told = {
            one["id"]: one
            for node, views in zip(owners, answers, strict=True)
            for one in views
            if one["id"] in owners[node]
        }
        shown = []
        for stream_id in self._table.specs():
            with contextlib.suppress(ApiError):
                document = self._document(stream_id)
                one = told.get(stream_id)
                shown.append(self._told(document, one) if one else self._untold(document))
        return shown

    async def sinks_of(self, node: str) -> list[dict[str, Any]]:
        """The brokers of one node, as it shows them."""
        return await self._listed(node, "sinks")

    async def _listed(self, node: str, what: str) -> list[dict[str, Any]]:
        """What a node lists at a path of that name; nothing where it does not answer."""
        with contextlib.suppress(BusAway):
            answer = await self.ask_node(node, Question("GET", f"/{what}"), VIEW_S)
            if answer.status == 200:
                found: list[dict[str, Any]] = json.loads(await answer.whole())[what]
                return found
        return []

    def owner(self, stream_id: str) -> str | None:
        """Name of the node that has a stream."""
        lease = self._table.lease(stream_id)
        return node_of(lease.owner) if lease is not None and lease.owner else None

    async def ask_node(self, node: str, question: Question, timeout_s: float = 5.0) -> NodeAnswer:
        """Ask one node. Raises BusAway."""
        return await ask(self._bus, self._subjects.ask(node), question, timeout_s)

    async def ask_owner(self, stream_id: str, question: Question, timeout_s: float = 5.0) -> NodeAnswer:
        """Ask the node that has a stream. Raises BusAway where nobody has it, or does not answer."""
        node = self.owner(stream_id)
        if node is None:
            raise BusAway("no node has this stream now")
        return await self.ask_node(node, question, timeout_s)

    def removed(self, stream_id: str) -> None:
        """The table says that a stream is gone: end what follows it here."""
        self._hub.close_stream(stream_id)
        if (feed := self._feeds.pop(stream_id, None)) is not None:
            feed.close()

    def close(self) -> None:
        """End all that wait for pictures."""
        for feed in self._feeds.values():
            feed.close()

    async def _checked(self, spec: StreamSpec) -> tuple[str, bool]:
        """A stream's URL for people, and whether it has credentials, as a node found them, or, where none is there, as
        this gateway's own settings say. Raises Refused or NotReady."""
        document = {**spec.document()}
        if spec.credentials == HIDDEN:
            document["credentials"] = None
        body = json.dumps({"id": spec.id, "document": document}).encode()
        for node in {node_of(life) for life in self.live}:
            with contextlib.suppress(BusAway):
                answer = await self.ask_node(node, Question("POST", "/node/check", "", JSON, body), 12.0)
                found = json.loads(await answer.whole())
                if answer.status == 200:
                    return found["shown"], found["has_credentials"]
                if answer.status == Refused.status:
                    raise Refused(found["code"], found["detail"])
        if not self._bus.connected:
            raise nats_away(None)
        credentials = None if spec.credentials == HIDDEN else spec.credentials
        address = self._policy.check(spec.url, credentials)
        return address.shown, address.has_credentials

    async def _write(self, document: SpecDocument, hidden: Mapping[str, bytes], expected: int) -> bool:
        """Write a spec, its secrets first; False where somebody else has changed it. Raises NotReady."""
        stream_id, payload = document.spec.id, document.to_json()
        try:
            for name, secret in hidden.items():
                await self._secrets.put(name, secret)
            revision = await self._bucket.put(key("spec", stream_id), payload, expected)
        except BusAway as away:
            raise nats_away(away) from None
        except WriteRefused as refused:
            for name in hidden:
                with contextlib.suppress(BusAway, WriteRefused):
                    await self._secrets.delete(name)
            if not refused.conflict:
                raise NotReady("store_failed", f"NATS does not take this: {refused}") from None
            return False
        self._table.apply("spec", stream_id, revision, payload)
        return True

    async def _reread(self, stream_id: str) -> None:
        try:
            entry = await self._bucket.read(key("spec", stream_id))
        except BusAway as away:
            raise nats_away(away) from None
        self._table.apply("spec", stream_id, entry.revision, entry.payload)

    async def _place(self, stream_id: str) -> None:
        """Wait a moment for a node to take a new stream, so that whoever added it finds it where it asks next."""
        deadline_s = time.monotonic() + PLACE_S
        while self.live and not await self.settle(stream_id) and time.monotonic() < deadline_s:
            await asyncio.sleep(0.02)

    async def settle(self, stream_id: str) -> bool:
        """Wait a moment until the stream's node has it as it is to be now; False where it has not, or nobody is it."""
        revision = self._table.row("spec", stream_id).revision
        with contextlib.suppress(BusAway):
            question = Question("GET", f"/node/settled/{stream_id}", f"revision={revision}")
            answer = await self.ask_owner(stream_id, question)
            return answer.status == 200 and bool(json.loads(await answer.whole()))
        return False

    def _document(self, stream_id: str) -> SpecDocument:
        value = self._table.spec(stream_id)
        if value is None:
            raise stream_not_found(stream_id)
        try:
            return SpecDocument.parse(stream_id, value)
        except (ValueError, ValidationError):
            detail = f"what is kept of stream {stream_id!r} cannot be read; DELETE it and POST it anew"
            raise NotReady("store_failed", detail) from None

    def _known(self, stream_id: str, new: NewStream) -> RemoteStream | None:
        """The stream that exists already and is as asked. Raises Conflict."""
        if self._table.spec(stream_id) is None:
            return None
        if differing := self._document(stream_id).differences(new):
            raise stream_differs(stream_id, differing)
        return self.get(stream_id)

    def _told(self, document: SpecDocument, view: Mapping[str, Any]) -> StreamView:
        """As its node shows it; who follows, only this gateway knows, and its address from the moment of its POST."""
        found = StreamView.model_validate(view)
        stats = found.stats.model_copy(update={"subscribers": self._hub.subscribers(document.spec.id)})
        state = found.state
        if not self._bus.connected:
            state = state.model_copy(update={"phase": "degraded", "cause": "nats_away"})
        known = {"url": document.spec.url, "has_credentials": document.has_credentials}
        return found.model_copy(update={"stats": stats, "state": state, **known})

    def _untold(self, document: SpecDocument) -> StreamView:
        """A stream that no node tells of."""
        spec = document.spec
        stats = StatsView(
            fps=0.0, frame_age_p50_ms=None, frame_age_p95_ms=None, people=0, frames=0, dropped=0, width=None,
            height=None, subscribers=self._hub.subscribers(spec.id),
        )  # fmt: skip
        return StreamView(
            id=spec.id, name=spec.name, note=spec.note, url=spec.url, has_credentials=document.has_credentials,
            **as_fields(spec.lane), zones=spec.zones, stills_days=spec.stills_days, adapt=spec.adapt,
            adapt_group=spec.adapt_group,
            created_at=document.created_at, state=self._state(document), stats=stats,
        )  # fmt: skip

    def _state(self, document: SpecDocument) -> StateView:
        since = document.created_at
        if not self._bus.connected:
            message = "NATS cannot be reached: the stream goes on, and nothing of it comes here"
            return StateView(phase="degraded", since=since, cause="nats_away", message=message)
        if (node := self.owner(document.spec.id)) is not None:
            if not self.heard_all or node in {node_of(life) for life in self.live}:
                return StateView(phase="connecting", since=since)
            message = f"node {node} is gone; another one takes the stream in seconds, if there is room"
            return StateView(phase="reconnecting", since=since, cause="node_away", message=message)
        if not self.heard_all or (self.live and time.time() - since < PLACED_S):
            return StateView(phase="pending", since=since)
        takes = [Offer(int(one["capacity"]), None, bool(one["draining"])).takes for one in self.live.values()]
        message = (
            f"{len(takes)} nodes take {sum(takes)} streams together, and there are {len(self._table.stream_ids())}; "
            "add a node, or remove a stream"
            if takes
            else f"no node of site {self._subjects.site} is there; start one: atttrack node"
        )
        return StateView(phase="pending", since=since, cause="no_room", message=message)


def nats_away(error: Exception | None) -> NotReady:
    """The answer to whoever wants something changed while NATS is away."""
    return NotReady("nats_away", f"NATS cannot be reached, so nothing is changed{f': {error}' if error else ''}")
