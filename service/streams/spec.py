"""StreamSpec: what a user asked for; how requests change it and how the store keeps it."""

import hashlib
import re
import secrets
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import TypeAdapter

from edge.pipeline.config import LaneSettings
from service.cameras.url_policy import Credentials
from service.errors import Refused
from service.lane_fields import LANE_FIELDS, as_fields, asked_of_lane
from service.streams.schema import NewCredentials, NewStream, StreamPatch
from service.zones.zone import Zones


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSpec:
    """One stream as it shall be; equal specs are the same stream."""

    id: str
    name: str
    url: str = field(repr=False)
    """As it was given; may hold secrets. `service.cameras.url_policy` makes an address of it each time it is opened."""
    credentials: Credentials | None = field(default=None, repr=False)
    lane: LaneSettings
    zones: Zones = ()
    note: str = ""
    stills_days: float = 0.0
    """How long a picture is kept of what happens in the zones; 0: none."""
    adapt: bool = False
    """Whether the student learns this camera while it runs."""
    adapt_group: str | None = None
    """Of streams that share a student."""

    @classmethod
    def from_request(cls, new: NewStream, defaults: LaneSettings, idempotency_key: str | None = None) -> "StreamSpec":
        """The stream to add: what the request leaves out of its lane comes from `defaults`.

        The id of a stream without one follows from the idempotency key, so that the same request, sent again because
        its answer was lost, names the same stream.
        """
        stream_id = new.id or _made_id(idempotency_key)
        return cls(
            id=stream_id,
            name=new.name or stream_id,
            url=new.url,
            credentials=_credentials(new.credentials),
            lane=replace(defaults, **asked_of_lane(new, defaults)),
            zones=new.zones,
            note=new.note,
            stills_days=new.stills_days,
            adapt=new.adapt,
            adapt_group=new.adapt_group,
        )

    @classmethod
    def from_document(cls, stream_id: str, document: dict[str, Any]) -> "StreamSpec":
        """The stream that `document` was made of. Raises ValueError where it makes none."""
        lane = {name: document[name] for name in LANE_FIELDS if name in document}
        return _ADAPTER.validate_python({**document, "id": stream_id, "lane": lane})

    def document(self) -> dict[str, Any]:
        """Everything but the id as plain JSON data, credentials included: for the store alone."""
        document: dict[str, Any] = _ADAPTER.dump_python(self, mode="json", exclude={"id"})
        return {**document.pop("lane"), **document}

    def changed(self, patch: StreamPatch, defaults: LaneSettings) -> "StreamSpec":
        """The stream after a merge patch; null stands for the default. Raises Refused."""
        empty: dict[str, Any] = {"name": self.id, "zones": (), "note": "", "stills_days": 0.0, "adapt": False}
        changes: dict[str, Any] = {"lane": replace(self.lane, **asked_of_lane(patch, defaults))}
        for name in patch.model_fields_set.difference(LANE_FIELDS):
            value = getattr(patch, name)
            changes[name] = empty.get(name) if value is None else value
        if "credentials" in changes:
            changes["credentials"] = _credentials(patch.credentials)
        elif self.credentials and "url" in changes and _server(changes["url"]) != _server(self.url):
            detail = "another server does not get the password of the one before; give `credentials` again, or null"
            raise Refused("credentials_needed", detail)
        return replace(self, **changes)

    def differences(self, new: NewStream) -> list[str]:
        """Names of the fields that a request gives otherwise than they are; what it leaves out does not differ."""
        asked = {name: getattr(new, name) for name in new.model_fields_set - {"id"}}
        if "credentials" in asked:
            asked["credentials"] = _credentials(new.credentials)
        present = as_fields(self.lane) | {name: getattr(self, name) for name in asked.keys() - LANE_FIELDS}
        return sorted(name for name, value in asked.items() if value is not None and value != present[name])


_ADAPTER = TypeAdapter(StreamSpec)


def _credentials(given: NewCredentials | None) -> Credentials | None:
    return Credentials(given.username, given.password.get_secret_value()) if given else None


def _server(url: str) -> tuple[str, str]:
    """Scheme, host and port as written."""
    scheme, _, rest = url.partition("://")
    return scheme.lower(), re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2].lower()


def _made_id(idempotency_key: str | None) -> str:
    if idempotency_key is None:
        return f"stream-{secrets.token_hex(3)}"
    return f"stream-{hashlib.sha256(idempotency_key.encode()).hexdigest()[:16]}"
