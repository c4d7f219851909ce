"""RemoteStream: one stream as a gateway knows it, and its pictures, which its node makes."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from service.cluster.asking import NodeAnswer, Question
from service.cluster.bus import BusAway
from service.streams.spec import StreamSpec
from service.tracks.video import EncodedPicture, FeedClosed, Style

RETRY_S = 0.3
"""Between two questions for a picture that cannot be had now: its stream may move to another node."""
AskOwner = Callable[[str, Question], Awaitable[NodeAnswer]]
"""Asks the node that has a stream. Raises BusAway where nobody has it, or nobody answers."""


class RemoteFeed:
    """Implements `service.backend.Feed`. Each picture is asked for once, for all who watch here. Event loop only."""

    def __init__(self, stream_id: str, ask: AskOwner) -> None:
        self._stream_id = stream_id
        self._ask = ask
        self._locks: defaultdict[Style, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._newest: dict[Style, EncodedPicture] = {}
        self._made = 0
        """Pictures that came; their `seq` begins anew when the stream moves, so it cannot tell which is newer."""
        self._closed = False

    async def newer_than(self, seq: int, style: Style) -> EncodedPicture:
        """Wait for another picture than that with `seq`. Raises FeedClosed."""
        made, after = self._made, seq
        while not self._closed:
            async with self._locks[style]:
                known = self._newest.get(style)
                if known is not None and known.seq != seq and self._made > made:
                    return known
                picture = await self._asked(style, after)
                if picture is not None and picture.seq != seq:
                    self._newest[style] = picture
                    self._made += 1
                    return picture
            after = -1  # whatever there is: another node counts from 1 again
            await asyncio.sleep(RETRY_S)
        raise FeedClosed

    async def newest(self, style: Style) -> EncodedPicture | None:
        """Return the newest frame's picture, None before the first frame, or while nobody has the stream."""
        return await self._asked(style, -1)

    def close(self) -> None:
        """End all that wait, soon: the stream is removed, or the gateway goes away."""
        self._closed = True

    async def _asked(self, style: Style, after: int) -> EncodedPicture | None:
        question = Question("GET", f"/node/picture/{self._stream_id}", f"style={style}&after={after}")
        try:
            answer = await self._ask(self._stream_id, question)
            jpeg = await answer.whole()
        except BusAway:
            return None
        if answer.status != 200:
            return None
        return EncodedPicture(int(dict(answer.headers)["x-seq"]), jpeg)


@dataclass(frozen=True, slots=True)
class RemoteStream:
    """Implements `service.backend.KnownStream`."""

    id: str
    spec: StreamSpec
    """Without secrets."""
    feed: RemoteFeed
