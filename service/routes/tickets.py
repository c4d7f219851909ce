"""/tickets: a pass for one request that can send no header."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from service.auth.caller import Caller
from service.auth.tickets import LIFETIME_S
from service.errors import Forbidden, documented, stream_not_found
from service.ids import Id
from service.routes.dependencies import GuardDependency, Needs

router = APIRouter(tags=["keys"])


class NewTicket(BaseModel):
    """What the ticket shall open."""

    model_config = ConfigDict(extra="forbid")

    streams: list[Id] | None = Field(
        default=None, min_length=1, max_length=256, description="Only these; all that your key may see if absent."
    )


class TicketView(BaseModel):
    """A ticket. It lets read, not write."""

    ticket: str = Field(
        description="Append it to one address as `?ticket=...`: a WebSocket, an event stream, a picture."
    )
    expires_in: float = Field(description="Seconds within which it has to be used; once.")


@router.post(
    "/tickets", summary="Get a ticket for one address", status_code=201, responses=documented(401, 403, 404, 422, 429)
)
async def issue_ticket(
    caller: Annotated[Caller, Needs("read")], guard: GuardDependency, response: Response, new: NewTicket | None = None
) -> TicketView:
    """Return a ticket that opens one address, once, within seconds: a key never belongs into an address.

    Takes a key: a ticket makes no tickets. What it opened ends when the key ends.
    """
    if caller.by_ticket:
        raise Forbidden("key_needed", "a ticket makes no tickets; send the key itself")
    wanted = new and new.streams
    for stream_id in wanted or ():
        if not caller.sees(stream_id):
            raise stream_not_found(stream_id)
    streams = frozenset(wanted) if wanted else caller.streams
    response.headers["Cache-Control"] = "no-store"
    return TicketView(ticket=await guard.issue(replace(caller, streams=streams)), expires_in=LIFETIME_S)
