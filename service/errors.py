"""Errors as RFC 9457 problems: one JSON shape, a stable `code`, and never the caller's secrets.

ApiError
  Unauthorized    401  key_missing, key_refused, ticket_refused
  Forbidden       403  scope_too_small, key_limited, key_needed, origin_not_allowed
  Malformed       400  invalid_path
  NotFound        404  stream_not_found, no_frame_yet, key_not_found, still_not_found, node_not_found
  Conflict        409  stream_exists, key_exists, last_admin_key, first_key_must_be_admin, adapt_is_off,
                       no_student_before
  PreconditionFailed 412  stream_changed
  BodyTooLarge    413  body_too_large
  UrlTooLong      414  url_too_long
  Misdirected     421  host_not_allowed
  Refused         422  invalid_request, invalid_url, invalid_view, invalid_span, credentials_needed,
                       scheme_not_allowed, address_not_allowed, path_not_allowed, mode_not_available, class_not_seen,
                       adapt_not_available, file_hangs, and what a source says of itself: no_video, not_found,
                       codec_unsupported
  LimitReached    429  too_many_streams, too_many_requests, too_many_failures, too_many_connections,
                       too_many_subscribers, too_many_tickets
  HeadersTooLarge 431  headers_too_large
  NotReady        503  not_ready, shutting_down, worker_stalled, store_failed, timeline_failed, nats_away, node_away
"""

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, ClassVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket

MEDIA_TYPE = "application/problem+json"


class FieldProblem(BaseModel):
    """One field that was refused. The value itself is left out: it may be a password."""

    field: str = Field(examples=["k"])
    message: str = Field(examples=["expected greater than or equal to 1, got 0"])


class Problem(BaseModel):
    """Body of every error answer (RFC 9457)."""

    type: str = Field(default="about:blank", description="Always about:blank; tell errors apart by `code`.")
    title: str = Field(description="The HTTP status in words.", examples=["Not Found"])
    status: int = Field(examples=[404])
    code: str = Field(description="Stable and machine-readable.", examples=["stream_not_found"])
    detail: str = Field(description="What happened and what to do, for people.")
    errors: list[FieldProblem] = Field(default_factory=list, description="Set when fields of the body were refused.")


class ApiError(Exception):
    """An answer other than success. `code` is stable; `detail` says what to do."""

    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR
    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(self, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.headers = headers or type(self).headers

    def problem(self) -> Problem:
        """Return the body to send."""
        return Problem(title=self.status.phrase, status=self.status.value, code=self.code, detail=self.detail)


class Malformed(ApiError):
    """No path that anything could be at."""

    status = HTTPStatus.BAD_REQUEST


class Unauthorized(ApiError):
    """Nobody knows who asks."""

    status = HTTPStatus.UNAUTHORIZED
    headers = MappingProxyType({"WWW-Authenticate": "Bearer"})


class Forbidden(ApiError):
    """Known, and not allowed to do this."""

    status = HTTPStatus.FORBIDDEN


class NotFound(ApiError):
    """There is no such thing (yet)."""

    status = HTTPStatus.NOT_FOUND


class Conflict(ApiError):
    """It exists already and differs."""

    status = HTTPStatus.CONFLICT


class PreconditionFailed(ApiError):
    """It is not any more what the caller took it for."""

    status = HTTPStatus.PRECONDITION_FAILED


class Refused(ApiError):
    """Understood and not allowed, or not usable."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class BodyTooLarge(ApiError):
    """More bytes than any honest body has."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class UrlTooLong(ApiError):
    """More bytes than any honest path and query have."""

    status = HTTPStatus.REQUEST_URI_TOO_LONG


class HeadersTooLarge(ApiError):
    """More bytes than any honest headers have."""

    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE


class Misdirected(ApiError):
    """The name that was asked for is none of this service's."""

    status = HTTPStatus.MISDIRECTED_REQUEST


class LimitReached(ApiError):
    """A configured limit; `retry_after_s` where waiting helps."""

    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, code: str, detail: str, retry_after_s: float | None = None) -> None:
        if retry_after_s is None:
            super().__init__(code, detail)
        else:
            seconds = math.ceil(retry_after_s)
            super().__init__(code, f"{detail}; try again in {seconds} s", {"Retry-After": str(seconds)})


class NotReady(ApiError):
    """The service cannot do this now."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    headers = MappingProxyType({"Retry-After": "5"})


def stream_not_found(stream_id: str) -> NotFound:
    """The one answer for an unknown id, on every route."""
    return NotFound("stream_not_found", f"there is no stream {stream_id!r}; GET /streams lists them")


def problem_response(problem: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Wrap a problem in an HTTP answer."""
    body = problem.model_dump(exclude_defaults=True) | {"type": problem.type}
    return JSONResponse(body, problem.status, headers=headers, media_type=MEDIA_TYPE)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI entries for the problems a route answers with."""
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": _SCHEMA_REF}}}
        for status in statuses
    }


_SCHEMA_REF = {"$ref": "#/components/schemas/Problem"}


COMMON_PROBLEMS: dict[int | str, dict[str, Any]] = {
    **documented(422),
    "default": {"description": "Any other problem", "content": {MEDIA_TYPE: {"schema": _SCHEMA_REF}}},
}
"""OpenAPI entries for every route: who asks, what and how often is checked before each of them."""


def install_handlers(app: FastAPI) -> None:
    """Make every error of `app` a problem: ours, the validator's, the router's and the unforeseen."""

    @app.exception_handler(ApiError)
    async def on_api_error(connection: HTTPConnection, error: ApiError) -> JSONResponse | None:
        answer = problem_response(error.problem(), error.headers)
        if not isinstance(connection, WebSocket):
            return answer
        await connection.send_denial_response(answer)
        return None

    @app.exception_handler(RequestValidationError)
    async def on_invalid_request(request: Request, error: RequestValidationError) -> JSONResponse:
        return problem_response(_invalid(error.errors(), request.headers.get("content-type")))

    @app.exception_handler(WebSocketRequestValidationError)
    async def on_invalid_handshake(socket: WebSocket, error: WebSocketRequestValidationError) -> None:
        await socket.send_denial_response(problem_response(_invalid(error.errors())))

    @app.exception_handler(HTTPException)
    async def on_http_exception(_: Request, error: HTTPException) -> JSONResponse:
        phrase = HTTPStatus(error.status_code).phrase
        too_large = error.status_code == BodyTooLarge.status
        code = "body_too_large" if too_large else phrase.lower().replace(" ", "_")
        unread = error.status_code == HTTPStatus.BAD_REQUEST
        detail = "the body cannot be read; expected JSON in UTF-8" if unread else str(error.detail)
        problem = Problem(title=phrase, status=error.status_code, code=code, detail=detail)
        return problem_response(problem, dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def on_bug(_: Request, __: Exception) -> JSONResponse:
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        detail = "the service failed on this request; its log has the reason"
        return problem_response(Problem(title=status.phrase, status=status, code="internal_error", detail=detail))


def _invalid(mistakes: Sequence[Any], content_type: str | None = None) -> Problem:
    """What was expected and what came, without the values."""
    errors = [FieldProblem(field=_field_name(e), message=_message(e, content_type)) for e in mistakes]
    detail = "; ".join(f"{e.field}: {e.message}" for e in errors)
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    return Problem(title=status.phrase, status=status, code="invalid_request", detail=detail, errors=errors)


def _field_name(mistake: Mapping[str, Any]) -> str:
    """('body', 'credentials', 'username') -> 'credentials.username'; 'body' for the body as a whole."""
    where, *parts = mistake["loc"]
    if mistake["type"] == "extra_forbidden":  # a name that is not ours may be a secret, too
        parts = [*parts[:-1], "(unknown)"]
    return ".".join(map(str, parts)) if parts and mistake["type"] != "json_invalid" else str(where)


def _message(mistake: Mapping[str, Any], content_type: str | None) -> str:
    """What was expected of a field and what came instead; of texts only that they are texts."""
    kind, sent = mistake["type"], mistake.get("input")
    told = str(mistake["msg"]).removeprefix("Value error, ").replace("Input should be ", "expected ")
    of_body = mistake["loc"] == ("body",)
    if kind == "json_invalid":
        return f"expected JSON, but at character {mistake['loc'][-1]} it is broken: {mistake['ctx']['error']}"
    if kind == "missing":
        return "expected a JSON document, but there is none" if of_body else "is needed, but missing"
    if kind == "extra_forbidden":
        return "there is no such field; /docs lists them"
    if of_body and isinstance(sent, bytes):  # whose bytes FastAPI did not take for JSON
        came = f"Content-Type: {content_type}" if content_type else "no Content-Type"
        return f"expected JSON with Content-Type: application/json, but it came with {came}"
    if kind in ("dict_type", "model_type", "model_attributes_type"):
        told = "expected an object"
    if kind in _RANGES:
        return f"{told}, got {sent}"
    if kind.endswith(("_type", "_parsing")) and type(sent) in _KINDS:
        return f"{told.partition(', unable')[0]}, got {_KINDS[type(sent)]}"
    return told


_RANGES = {"greater_than", "greater_than_equal", "less_than", "less_than_equal", "finite_number"}
_KINDS = {dict: "an object", list: "a list", str: "a string", bool: "true or false", int: "a number", float: "a number"}
_KINDS[type(None)] = "null"


def stream_differs(stream_id: str, differing: Sequence[str]) -> Conflict:
    """The error for another stream by the same id."""
    detail = f"stream {stream_id!r} exists and differs in {', '.join(differing)}; PATCH it or choose another id"
    return Conflict("stream_exists", detail)


def check_version(etag: str, if_match: str | None) -> None:
    """Raise PreconditionFailed unless a stream's `etag` is among those of the header If-Match, which may be missing."""
    known = [one.strip() for one in if_match.split(",")] if if_match else ["*"]
    if "*" not in known and etag not in known:
        raise PreconditionFailed("stream_changed", "somebody else changed this stream; GET it and try again")
