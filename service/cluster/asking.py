"""Asking: HTTP requests and answers as messages, so that a gateway asks a node as a client asks a service.

A request is one message: a line of JSON and the body. An answer is any number: the first has a line of JSON and the
begin of the body, and says whether more comes; the others are pieces of it, an empty one ends.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from nats.aio.msg import Msg

from service.cluster.bus import Bus, BusAway

PIECE = 500_000
"""Bytes of one message; the server takes a million."""
ANSWER_S = 5.0
"""Longest wait for the first message of an answer, and for each other one."""
MOST_AT_ONCE = 64
Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Question:
    """One request."""

    method: str
    path: str
    query: str = ""
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""

    def encoded(self) -> bytes:
        """As one message."""
        head = {"method": self.method, "path": self.path, "query": self.query, "headers": list(self.headers)}
        return json.dumps(head).encode() + b"\n" + self.body

    @classmethod
    def decoded(cls, message: bytes) -> "Question":
        """Read what `encoded` made. Raises ValueError."""
        head, _, body = message.partition(b"\n")
        found = json.loads(head)
        headers = [(str(name), str(value)) for name, value in found["headers"]]
        return cls(str(found["method"]), str(found["path"]), str(found["query"]), headers, body)


@dataclass(slots=True)
class NodeAnswer:
    """One answer; its body is read once, by `pieces` or `whole`."""

    status: int
    headers: Headers
    pieces: AsyncIterator[bytes] = field(repr=False)

    async def whole(self) -> bytes:
        """All of the body. Raises BusAway where the node ends before."""
        return b"".join([piece async for piece in self.pieces])


async def ask(bus: Bus, subject: str, question: Question, timeout_s: float = ANSWER_S) -> NodeAnswer:
    """Ask a node. Raises BusAway where nobody answers."""
    stack = contextlib.AsyncExitStack()
    try:
        where, answers = await stack.enter_async_context(bus.inbox())
        await bus.publish_to(subject, question.encoded(), where)
        first = await _next(answers, timeout_s)
        if (first.headers or {}).get("Status") == "503":
            raise BusAway("this node does not answer")
        line, _, begin = first.data.partition(b"\n")
        head = json.loads(line)
    except BaseException:
        await stack.aclose()
        raise
    if not head["more"]:
        await stack.aclose()
    headers = [(name, value) for name, value in head["headers"]]
    return NodeAnswer(head["status"], headers, _pieces(begin, head["more"], answers, stack))


async def _pieces(
    begin: bytes, more: bool, answers: "asyncio.Queue[Msg]", stack: contextlib.AsyncExitStack
) -> AsyncIterator[bytes]:
    async with stack:
        yield begin
        while more:
            piece = (await _next(answers, ANSWER_S)).data
            if not piece:
                return
            yield piece


async def _next(answers: "asyncio.Queue[Msg]", timeout_s: float) -> Msg:
    try:
        return await asyncio.wait_for(answers.get(), timeout_s)
    except TimeoutError:
        raise BusAway("this node does not answer in time") from None


class Answers:
    """A node's side: an ASGI application that is asked over NATS."""

    def __init__(self, bus: Bus, app: Any) -> None:
        self._bus, self._app = bus, app
        self._room = asyncio.Semaphore(MOST_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    async def take(self, message: Msg) -> None:
        """Answer one question, beside others."""
        task = asyncio.create_task(self._answer(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Answer nothing more."""
        for task in self._tasks:
            task.cancel()

    async def _answer(self, message: Msg) -> None:
        with contextlib.suppress(BusAway, ValueError, KeyError):
            question = Question.decoded(message.data)
            async with self._room:
                await self._app(_scope(question), _receiver(question.body), _Sender(self._bus, message.reply))


def _scope(question: Question) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": question.method,
        "scheme": "http",
        "path": unquote(question.path),
        "raw_path": question.path.encode(),
        "root_path": "",
        "query_string": question.query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in question.headers],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 80),
        "state": {},
    }


def _receiver(body: bytes) -> Any:
    sent = False

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if sent:
            await asyncio.Event().wait()  # nobody hangs up here
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


class _Sender:
    """Turns what an application sends into messages."""

    def __init__(self, bus: Bus, reply: str) -> None:
        self._bus, self._reply = bus, reply
        self._start: dict[str, Any] | None = None

    async def __call__(self, event: dict[str, Any]) -> None:
        if event["type"] == "http.response.start":
            self._start = event
            return
        body, more = event.get("body", b""), event.get("more_body", False)
        if self._start is not None:
            begin, body = body[:PIECE], body[PIECE:]
            headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self._start["headers"]]
            goes_on = bool(more or body)
            head = {"status": self._start["status"], "headers": headers, "more": goes_on}
            await self._bus.publish(self._reply, json.dumps(head).encode() + b"\n" + begin)
            self._start = None
            if not goes_on:
                return
        for at in range(0, len(body), PIECE):
            await self._bus.publish(self._reply, body[at : at + PIECE])
        if len(body) > PIECE:
            await self._bus.barrier()  # whoever sends much waits for the server
        if not more:
            await self._bus.publish(self._reply, b"")
