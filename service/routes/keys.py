"""/keys: API keys, for admins."""

import logging
import time
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from service.auth.caller import Caller, Scope
from service.auth.keys import ApiKey
from service.errors import Conflict, documented
from service.ids import Id
from service.kept import kept
from service.routes.dependencies import GuardDependency, Needs

log = logging.getLogger(__name__)
router = APIRouter(tags=["keys"])

LONGEST_S = 100 * 366 * 86400.0
Admin = Annotated[Caller, Needs("admin", all_streams=True)]


class NewKey(BaseModel):
    """A key to make."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "lobby-screen", "scope": "read"}]}
    )

    name: Id
    scope: Scope = Field(description="read: look; write: add, change and remove streams, too; admin: keys, too.")
    streams: list[Id] | None = Field(
        default=None,
        min_length=1,
        max_length=256,
        description="Only these streams; all, also those to come, if absent.",
    )
    expires_in_s: float | None = Field(
        default=None, gt=0, le=LONGEST_S, description="Seconds for which it is good; until it is revoked, if absent."
    )


class KeyView(BaseModel):
    """A key without its secret."""

    name: str
    scope: Scope
    streams: list[str] | None
    created_at: float = Field(description="Unix time.")
    expires_at: float | None = Field(description="Unix time from which on it is worthless; null: never.")


class CreatedKey(KeyView):
    """A key with its secret, this one time."""

    key: str = Field(description="Keep it now: it is stored as a hash, and nobody can show it again.")


class KeyList(BaseModel):
    """All keys but that of the environment, oldest first."""

    keys: list[KeyView]


@router.post("/keys", summary="Make an API key", status_code=201, responses=documented(401, 403, 409, 422, 503))
async def add_key(new: NewKey, admin: Admin, guard: GuardDependency, response: Response) -> CreatedKey:
    """Make a key. The first one has to be an admin's, since with it the service stops being open."""
    if guard.open and (new.scope != "admin" or new.streams is not None):
        raise Conflict("first_key_must_be_admin", "the first key closes the service; make one with scope admin first")
    expires_at = None if new.expires_in_s is None else time.time() + new.expires_in_s
    secret, key = await kept(
        guard.keys.add(new.name, new.scope, frozenset(new.streams) if new.streams else None, expires_at)
    )
    log.info("key %s added by %s: scope %s", key.name, admin.name, key.scope)
    response.headers["Cache-Control"] = "no-store"
    return CreatedKey(key=secret, **_view(key).model_dump())


@router.get(
    "/keys",
    summary="List the API keys",
    dependencies=[Needs("admin", all_streams=True)],
    responses=documented(401, 403),
)
async def list_keys(guard: GuardDependency) -> KeyList:
    """List all keys, without their secrets."""
    return KeyList(keys=[_view(key) for key in guard.keys.all()])


@router.delete(
    "/keys/{name}", summary="Revoke an API key", status_code=204, responses=documented(401, 403, 404, 409, 503)
)
async def revoke_key(name: str, admin: Admin, guard: GuardDependency) -> None:
    """Revoke a key. The next request with it is refused, and connections that it opened end at once."""
    await kept(guard.keys.revoke(name, keep_an_admin=True))
    log.info("key %s revoked by %s", name, admin.name)


def _view(key: ApiKey) -> KeyView:
    streams = None if key.streams is None else sorted(key.streams)
    return KeyView(
        name=key.name, scope=key.scope, streams=streams, created_at=key.created_at, expires_at=key.expires_at
    )
