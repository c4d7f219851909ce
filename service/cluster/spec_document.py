"""SpecDocument: a stream as the bucket has it: without anything secret, which lies in another bucket for nodes only."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from edge.pipeline.config import LaneSettings
from service.cameras.url_policy import Credentials
from service.cluster.bucket import Bucket
from service.cluster.subjects import token
from service.streams.schema import NewStream, StreamPatch
from service.streams.spec import StreamSpec

HIDDEN = Credentials("", "")
"""Stands for credentials that a gateway cannot read."""
OWN = ("created_at", "secrets", "digests", "salt", "has_credentials")
"""Fields of the document that are none of the spec's."""


@dataclass(frozen=True, slots=True)
class SpecDocument:
    """What gateways know of a stream."""

    spec: StreamSpec
    """Its URL is the one for people; its credentials, where it has some, are HIDDEN."""
    created_at: float
    has_credentials: bool
    secrets: dict[str, str]
    """`url` and `credentials` -> names of their keys in the bucket of secrets, where there are such."""
    digests: dict[str, str] = field(repr=False)
    """Of `url` and `credentials`, to know the same ones again without having them."""
    salt: str = field(repr=False)

    @classmethod
    def of(
        cls,
        spec: StreamSpec,
        shown: str,
        has_credentials: bool,
        created_at: float,
        before: "SpecDocument | None" = None,
    ) -> tuple["SpecDocument", dict[str, bytes]]:
        """The document of a spec, and the new secrets by the names of their keys.

        `shown`: its URL for people. What is as it was in `before` keeps its secrets.
        """
        salt = before.salt if before else secrets.token_hex(8)
        kept: dict[str, str] = {}
        digests: dict[str, str] = {}
        new: dict[str, bytes] = {}
        same_url = before is not None and spec.url == before.spec.url
        same_login = before is not None and spec.credentials == HIDDEN
        if before is not None and same_url:
            digests["url"] = before.digests["url"]
            kept |= {what: name for what, name in before.secrets.items() if what == "url"}
        else:
            digests["url"] = _digest(salt, spec.url)
            if shown != spec.url:
                kept["url"] = _new_key(spec.id)
                new[kept["url"]] = spec.url.encode()
        if before is not None and same_login:
            digests["credentials"] = before.digests["credentials"]
            kept |= {what: name for what, name in before.secrets.items() if what == "credentials"}
        else:
            login = _login(spec.credentials)
            digests["credentials"] = _digest(salt, login)
            if login:
                kept["credentials"] = _new_key(spec.id)
                new[kept["credentials"]] = login.encode()
        bare = replace(spec, url=shown, credentials=HIDDEN if "credentials" in kept else None)
        return cls(bare, created_at, has_credentials, kept, digests, salt), new

    @classmethod
    def parse(cls, stream_id: str, value: Mapping[str, Any]) -> "SpecDocument":
        """Read what `to_json` made. Raises ValueError."""
        try:
            own = {name: value[name] for name in OWN}
        except KeyError as missing:
            raise ValueError(f"the document of stream {stream_id} lacks {missing}") from None
        spec = StreamSpec.from_document(stream_id, {one: value[one] for one in value if one not in OWN})
        if "credentials" in own["secrets"]:
            spec = replace(spec, credentials=HIDDEN)
        return cls(spec=spec, **own)

    def to_json(self) -> bytes:
        """The text for the bucket."""
        document = {**replace(self.spec, credentials=None).document(), **{name: getattr(self, name) for name in OWN}}
        return json.dumps(document).encode()

    async def opened(self, kept: Bucket) -> StreamSpec:
        """The spec with its secrets. For nodes: nobody else may read them. Raises BusAway, WriteRefused."""
        spec = self.spec
        if (name := self.secrets.get("url")) is not None:
            spec = replace(spec, url=((await kept.read(name)).payload or b"").decode())
        if (name := self.secrets.get("credentials")) is not None:
            login = json.loads((await kept.read(name)).payload or b'["", ""]')
            spec = replace(spec, credentials=Credentials(*login))
        return spec

    def differences(self, new: NewStream) -> list[str]:
        """Names of the fields that a request gives otherwise than they are."""
        differing = {*self.spec.differences(new)} - {"url", "credentials"}
        if _digest(self.salt, new.url) != self.digests["url"]:
            differing.add("url")
        if new.credentials is not None:
            login = Credentials(new.credentials.username, new.credentials.password.get_secret_value())
            if _digest(self.salt, _login(login)) != self.digests["credentials"]:
                differing.add("credentials")
        return sorted(differing)

    def changed(self, patch: StreamPatch, defaults: LaneSettings) -> StreamSpec:
        """The spec after a patch: with the new URL and credentials where it names some. Raises Refused."""
        spec = self.spec.changed(patch, defaults)
        same = "url" in patch.model_fields_set and _digest(self.salt, patch.url) == self.digests["url"]
        return replace(spec, url=self.spec.url) if same else spec


def _digest(salt: str, text: str) -> str:
    return hmac.digest(salt.encode(), text.encode(errors="surrogatepass"), hashlib.sha256).hex()


def _login(credentials: Credentials | None) -> str:
    return "" if credentials is None else json.dumps([credentials.username, credentials.password])


def _new_key(stream_id: str) -> str:
    """A name of its own for each secret: a change that fails leaves the one before in force."""
    return f"{token(stream_id)}.{secrets.token_hex(6)}"
