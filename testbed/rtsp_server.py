"""A small RTSP camera for tests, demos and benchmarks: H.264 or H.265 over TCP, paced in real time, looped without end.

    python -m testbed.rtsp_server clip.mp4 --port 8554

It speaks RTSP 1.0 (RFC 2326) with interleaved RTP (RFC 6184, RFC 7798: single NAL units and fragments), sends RTCP
sender reports, asks for Basic or Digest credentials when told to, and misbehaves on demand: see `Fault`, `Marks`,
`stop` and `start`.
"""

import argparse
import asyncio
import base64
import contextlib
import hashlib
import itertools
import re
import secrets
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Coroutine, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from testbed.clips import H264, H265, Clip, PacketizedPicture, read_clip

Result = TypeVar("Result")
Fault = Literal["none", "silent", "busy", "stall", "frozen", "garbage", "unknown_codec", "no_video", "no_sps"]
"""silent: accepts and never answers; busy: answers 503; stall: stops sending, connection stays; frozen: repeats one
picture; garbage: sends noise for pictures, with the right headers; unknown_codec, no_video, no_sps: the SDP says so."""
Marks = Literal["last", "never", "always"]
"""Which packets of a picture have RTP's marker bit: the last one, as it should be, or something else."""

RTP_CLOCK = 90_000
REPORT_EVERY_S = 5.0
NTP_EPOCH_S = 2_208_988_800
REASONS = {200: "OK", 401: "Unauthorized", 404: "Not Found", 501: "Not Implemented", 503: "Service Unavailable"}


class RtspServer:
    """Serves clips by path from a thread of its own; a context manager. `port=0` takes a free one and keeps it."""

    def __init__(
        self,
        clips: Mapping[str, Clip],
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        username: str | None = None,
        password: str = "",
        auth: Literal["digest", "basic"] = "digest",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.clips, self.host, self.port = dict(clips), host, port
        self.username, self.password, self.auth, self.tls = username, password, auth, tls
        self.fault: Fault = "none"
        self.marks: Marks = "last"
        self.pictures_sent = 0
        self.sent_at_s: deque[float] = deque(maxlen=1000)
        """Unix times at which the last pictures were sent."""
        self.connections = 0
        """Connections accepted since the server was made."""
        self._sessions: set[_Session] = set()
        self._listener: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rtsp-server", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def url(self, path: str = "camera") -> str:
        """URL of one clip, without credentials."""
        return f"rtsp{'s' if self.tls else ''}://{self.host}:{self.port}/{path}"

    @property
    def clients(self) -> int:
        """Connections open now."""
        return len(self._sessions)

    def start(self) -> None:
        """Listen; also after `stop`, on the same port."""
        self._call(self._listen())

    def stop(self) -> None:
        """Die: drop every client and close the port."""
        self._call(self._close())

    def _call(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10)

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._serve, self.host, self.port, ssl=self.tls)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        session = _Session(self, reader, writer)
        self._sessions.add(session)
        try:
            await session.run()
        finally:
            self._sessions.discard(session)

    async def _close(self) -> None:
        if self._listener is not None:
            for listening in self._listener.sockets:  # asyncio loses a connection accepted while it stops listening
                self._loop.remove_reader(listening.fileno())
            await asyncio.sleep(0.01)
            self._listener.close()
            self._listener = None
        sessions = list(self._sessions)
        for session in sessions:
            session.abort()
        await asyncio.gather(*(session.done.wait() for session in sessions))


class _Session:
    """One client: answers its requests, and after PLAY sends pictures from a second task."""

    def __init__(self, server: RtspServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server, self.reader, self.writer = server, reader, writer
        self.id = secrets.token_hex(8)
        self.nonce = secrets.token_hex(16)
        self.ssrc = secrets.randbits(32)
        self.sequence = secrets.randbits(16)
        self.playing: asyncio.Task[None] | None = None
        self.done = asyncio.Event()

    async def run(self) -> None:
        try:
            while (head := await self._request()) is not None:
                if self.server.fault == "silent":
                    continue
                await self._answer(*head)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            if self.playing is not None:
                self.playing.cancel()
                await asyncio.gather(self.playing, return_exceptions=True)
            self.writer.close()
            with contextlib.suppress(ConnectionError):
                await self.writer.wait_closed()
            self.done.set()

    def abort(self) -> None:
        """Cut the connection at once, as a power cut does."""
        self.writer.transport.abort()

    async def _request(self) -> tuple[str, str, dict[str, str]] | None:
        """(method, url, headers in lower case) of the next request; interleaved receiver reports are skipped."""
        while (first := await self.reader.read(1)) == b"$":
            _, length = struct.unpack(">BH", await self.reader.readexactly(3))
            await self.reader.readexactly(length)
        if not first:
            return None
        head = (first + await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
        method, url, _ = head[0].split(" ", 2)
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        await self.reader.readexactly(int(headers.get("content-length", 0)))
        return method, url, headers

    async def _answer(self, method: str, url: str, headers: dict[str, str]) -> None:
        path = re.sub(r"^rtsps?://[^/]*/?", "", url).partition("?")[0].removesuffix("/trackID=0").strip("/")
        clip = self.server.clips.get(path)
        lines, body, status = {"CSeq": headers.get("cseq", "0")}, "", 200
        if self.server.fault == "busy":
            status = 503
        elif method == "OPTIONS":
            lines["Public"] = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER"
        elif not self._authorized(method, headers.get("authorization", "")):
            status = 401
            nonce = f', nonce="{self.nonce}"' if self.server.auth == "digest" else ""
            lines["WWW-Authenticate"] = f'{self.server.auth.capitalize()} realm="camera"{nonce}'
        elif clip is None:
            status = 404
        elif method == "DESCRIBE":
            body = session_description(clip, self.server.fault)
            lines |= {"Content-Base": url.rstrip("/") + "/", "Content-Type": "application/sdp"}
        elif method == "SETUP":
            lines |= {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1", "Session": f"{self.id};timeout=60"}
        elif method in ("PLAY", "TEARDOWN", "GET_PARAMETER"):
            lines["Session"] = self.id
        else:
            status = 501
        if body:
            lines["Content-Length"] = str(len(body))
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.writer.write(f"RTSP/1.0 {status} {REASONS[status]}\r\n{head}\r\n{body}".encode())
        await self.writer.drain()
        if status == 200 and method == "PLAY" and clip is not None and self.playing is None:
            self.playing = asyncio.create_task(self._play(clip))
        if status == 200 and method == "TEARDOWN":
            self.writer.close()

    def _authorized(self, method: str, given: str) -> bool:
        if self.server.username is None:
            return True
        name, password = self.server.username, self.server.password
        if self.server.auth == "basic":
            return given == "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
        fields = dict(re.findall(r'(\w+)="([^"]*)"', given))
        secret = _md5(f"{name}:camera:{password}")
        expected = _md5(f"{secret}:{self.nonce}:{_md5(method + ':' + fields.get('uri', ''))}")
        return fields.get("username") == name and fields.get("response") == expected

    async def _play(self, clip: Clip) -> None:
        """Send the clip over and over, each picture at its time; RTP time stamps run on through the loops."""
        begin, clock_offset, next_report_s = time.monotonic(), secrets.randbits(31), 0.0
        with contextlib.suppress(ConnectionError):
            for lap in itertools.count():
                for unit in clip.units:
                    lap_s = lap * clip.duration_s
                    await asyncio.sleep(begin + lap_s + unit.sent_s - time.monotonic())
                    stamp = clock_offset + round((lap_s + unit.time_s) * RTP_CLOCK) & 0xFFFFFFFF
                    if lap_s + unit.sent_s >= next_report_s:
                        self._report(stamp)
                        next_report_s += REPORT_EVERY_S
                    if self.server.fault != "stall":
                        self._send(clip.units[0] if self.server.fault == "frozen" else unit, stamp)
                        await self.writer.drain()

    def _send(self, unit: PacketizedPicture, stamp: int) -> None:
        """Write one picture as interleaved RTP packets on channel 0, the last one marked."""
        parts: list[bytes] = []
        last = len(unit.payloads) - 1
        for i, payload in enumerate(unit.payloads):
            if self.server.fault == "garbage":
                payload = payload[:2] + secrets.token_bytes(len(payload) - 2)
            marked = {"last": i == last, "never": False, "always": True}[self.server.marks]
            kind = 96 | (0x80 if marked else 0)
            parts.append(
                struct.pack(">cBHBBHII", b"$", 0, 12 + len(payload), 0x80, kind, self.sequence, stamp, self.ssrc)
            )
            parts.append(payload)
            self.sequence = self.sequence + 1 & 0xFFFF
        self.writer.write(b"".join(parts))
        self.server.pictures_sent += 1
        self.server.sent_at_s.append(time.time())

    def _report(self, stamp: int) -> None:
        """RTCP sender report on channel 1: which wall clock time the RTP time stamp stands for."""
        now = time.time() + NTP_EPOCH_S
        body = struct.pack(">BBHIIIIII", 0x80, 200, 6, self.ssrc, int(now), int(now % 1 * 2**32), stamp, 0, 0)
        self.writer.write(struct.pack(">cBH", b"$", 1, len(body)) + body)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def session_description(clip: Clip, fault: Fault = "none") -> str:
    """One video track, in SDP."""
    name = clip.coding.name
    coded = [base64.b64encode(nal).decode() for nal in clip.sets]
    if clip.coding is H264:
        level = clip.sets[0][1:4].hex()
        fmtp = f"a=fmtp:96 packetization-mode=1; profile-level-id={level}; sprop-parameter-sets={','.join(coded)}"
    elif clip.coding is H265:
        sprop = zip(("vps", "sps", "pps"), coded, strict=True)
        fmtp = "a=fmtp:96 " + "; ".join(f"sprop-{kind}={one}" for kind, one in sprop)
    else:
        fmtp = "a=range:npt=0-"
    media = {
        "unknown_codec": ["m=video 0 RTP/AVP 96", "a=rtpmap:96 X-HOLOGRAM/90000", "a=control:trackID=0"],
        "no_video": ["m=audio 0 RTP/AVP 0", "a=control:trackID=0"],
        "no_sps": ["m=video 0 RTP/AVP 96", f"a=rtpmap:96 {name}/90000", "a=control:trackID=0"],
    }.get(fault, ["m=video 0 RTP/AVP 96", f"a=rtpmap:96 {name}/90000", fmtp, "a=control:trackID=0"])
    return "\r\n".join(
        ["v=0", "o=- 0 0 IN IP4 0.0.0.0", "s=camera", "c=IN IP4 0.0.0.0", "t=0 0", "a=control:*", *media, ""]
    )


def main() -> None:
    """Serve clips until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path, nargs="+", help="H.264 or H.265 file; several: camera, camera2, ...")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8554)
    parser.add_argument("--username")
    parser.add_argument("--password", default="")
    options = parser.parse_args()
    clips = {f"camera{i or ''}": read_clip(clip) for i, clip in enumerate(options.clip, 1)}
    clips = {("camera" if name == "camera1" else name): clip for name, clip in clips.items()}
    with RtspServer(
        clips, host=options.host, port=options.port, username=options.username, password=options.password
    ) as server:
        for name in clips:
            print(server.url(name), flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
