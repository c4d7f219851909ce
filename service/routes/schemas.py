"""/asyncapi.json and /schemas: what is sent where, and in which form."""

from typing import Any

from fastapi import APIRouter, Request

from service.routes.dependencies import PUBLIC
from service.tracks.asyncapi import document, message_schema

router = APIRouter(tags=["schemas"])


@router.get("/asyncapi.json", summary="AsyncAPI document of the WebSockets and topics", dependencies=[PUBLIC])
async def asyncapi(request: Request) -> dict[str, Any]:
    """Return the AsyncAPI 3 document of the WebSockets and the brokers' topics."""
    return document(request.app.openapi())


@router.get("/schemas/tracks-1.json", summary="JSON Schema of the track message", dependencies=[PUBLIC])
async def tracks_schema() -> dict[str, Any]:
    """Return the JSON Schema of the track message."""
    return message_schema()
