"""StreamSpec: what a user asked for; how requests change it and how the store keeps it."""

import hashlib
import re
import secrets
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import TypeAdapter

from edge.pipeline.lane import IdentityPolicy
from edge.pipeline.modes import Mode
from service.cameras.url_policy import Credentials
from service.errors import Refused
from service.settings import Settings
from service.stream_schema import NewCredentials, NewStream, StreamPatch
from service.zones.zone import Zones


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSpec:
    """One stream as it shall be; equal specs are the same stream."""

    id: str
    name: str
    url: str = field(repr=False)
    """As it was given; may hold secrets. `service.cameras.url_policy` makes an address of it each time it is opened."""
    credentials: Credentials | None = field(default=None, repr=False)
    k: int
    mode: Mode
    threshold: float
    """Score that a detection must exceed, 0 to 1."""
    zones: Zones = ()
    identity: IdentityPolicy = "keep"
    note: str = ""
    stills_days: float = 0.0
    """How long a picture is kept of what happens in the zones; 0: none."""

    @classmethod
    def from_request(cls, new: NewStream, settings: Settings, idempotency_key: str | None = None) -> "StreamSpec":
        """The stream to add: what the request leaves out comes from the settings.

        The id of a stream without one follows from the idempotency key, so that the same request, sent again because
        its answer was lost, names the same stream.
        """
        stream_id = new.id or _made_id(idempotency_key)
        return cls(
            id=stream_id,
            name=new.name or stream_id,
            url=new.url,
            credentials=_credentials(new.credentials),
            k=new.k or settings.k,
            mode=new.mode or settings.mode,
            threshold=settings.threshold if new.threshold is None else new.threshold,
            zones=new.zones,
            identity=new.identity,
            note=new.note,
            stills_days=new.stills_days,
        )

    @classmethod
    def from_document(cls, stream_id: str, document: dict[str, Any]) -> "StreamSpec":
        """The stream that `document` was made of. Raises ValueError where it makes none."""
        return _ADAPTER.validate_python({**document, "id": stream_id})

    def document(self) -> dict[str, Any]:
        """Everything but the id as plain JSON data, credentials included: for the store alone."""
        document: dict[str, Any] = _ADAPTER.dump_python(self, mode="json", exclude={"id"})
        return document

    def changed(self, patch: StreamPatch, settings: Settings) -> "StreamSpec":
        """The stream after a merge patch; null stands for the default. Raises Refused."""
        defaults: dict[str, Any] = {
            "name": self.id,
            "k": settings.k,
            "mode": settings.mode,
            "threshold": settings.threshold,
            "zones": (),
            "identity": "keep",
            "note": "",
            "stills_days": 0.0,
        }
        changes: dict[str, Any] = {}
        for name in patch.model_fields_set:
            value = getattr(patch, name)
            changes[name] = defaults.get(name) if value is None else value
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
        return sorted(name for name, value in asked.items() if value is not None and value != getattr(self, name))


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
