"""A service that asks for keys, and the keys to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from service.auth.caller import Scope
from service.auth.guard import Guard
from tests.service.conftest import RunningService

BOOTSTRAP_KEY = "bootstrap-key-of-the-tests-0123456789"


@dataclass
class KeyedService:
    """A running service with the bootstrap key."""

    service: RunningService

    @property
    def guard(self) -> Guard:
        return self.service.server.config.app.state.guard  # type: ignore[union-attr,no-any-return]

    def http(self, key: str | None = BOOTSTRAP_KEY) -> httpx.Client:
        client = self.service.http
        client.headers.update(bearer(key))
        return client

    def make_key(self, name: str, scope: Scope, streams: list[str] | None = None) -> str:
        with self.http() as http:
            answer = http.post("/keys", json={"name": name, "scope": scope, "streams": streams})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["key"])


def bearer(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Authorization": f"Bearer {key}"}


def code_of(answer: httpx.Response) -> tuple[int, str]:
    body: Mapping[str, Any] = answer.json()
    return answer.status_code, body["code"]
