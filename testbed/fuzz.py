"""Fuzzing by grammar and coverage: what reads bytes or texts of others, fed with mutated seeds.

    python -m testbed.fuzz --minutes 10
    python -m testbed.fuzz --seconds 20 --only gate description

Seeds are files in `testbed/fuzz_seeds`, named after their target. An input that reaches lines which none before did is
kept for the run, and mutated further; one that raises what its target may not raise, or breaks what it promises, is
written there as a new seed, and the run ends with exit code 1. Seeds are run first, so what was found stays found.
"""

import argparse
import hashlib
import json
import random
import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from pydantic import TypeAdapter, ValidationError

from edge.sources.base import SourceError
from edge.sources.decoder.access_units import AccessUnits
from edge.sources.decoder.messages import unpack
from edge.sources.rtsp.camera_url import CameraUrl
from edge.sources.rtsp.conversation import Conversation
from edge.sources.rtsp.description import CODECS, admitted
from edge.sources.rtsp.rtp import EndMarks
from service.cameras.addresses import AddressPolicy
from service.cameras.url_policy import UrlPolicy
from service.errors import Refused
from service.logs import redacted
from service.sinks.address import SinkAddress
from service.streams.schema import NewStream, StreamPatch
from service.tracks.views import View
from service.zones.totals import Totals

SEEDS = Path(__file__).parent / "fuzz_seeds"
SECRET = "Xq7secretQ9"  # noqa: S105
URL = CameraUrl.parse("rtsp://viewer:secret@camera/live")
TOKENS = (
    *(b"\r\n", b"\n\n", b"\0", b" ", b":", b"=", b"/", b"?", b"&", b"%00", b"%74", b"$\0\xff\xff", b"$\0\0\4", b"\xff"),
    *(b"RTSP/1.0 200 OK\r\n", b"RTSP/1.0 302 Found\r\n", b"Location: rtsp://x/\r\n", b"Content-Length: 0\r\n"),
    *(b"Content-Length: -1\r\n", b"Content-Length: 99999999\r\n", b"v=0\r\n", b"m=video 0 RTP/AVP 96\r\n", b"m=audio "),
    *(b"a=rtpmap:96 H264/90000\r\n", b"a=rtpmap:96 x-pn-realvideo/90000\r\n", b"a=control:*\r\n", b"a=fmtp:96 "),
    *(b"\0\0\1", b"\0\0\0\1", b"\x7c\x85", b"rtsp://", b"rtsps://[::1]:1", b"synthetic://?", b"@", b"..", b"file:///"),
    *(b"null", b"1e999", b"-1", b"NaN", b'"', b"{", b"}", b"[", b"]", b",", b'"\\ud800"', b"9" * 30),
)


def gate(data: bytes) -> None:
    """Whatever a camera replies: FFmpeg sees no redirect and no codec but those of the list."""
    own = CameraUrl.parse("rtsp://127.0.0.1:9/live")
    conversation, passed = Conversation(URL, own, b"MARKMARK"), b""
    for number, method in enumerate((b"OPTIONS", b"DESCRIBE", b"SETUP", b"PLAY"), start=1):
        request = b"%b rtsp://127.0.0.1:9/live RTSP/1.0\r\nCSeq: %d\r\n\r\n" % (method, number)
        conversation.from_ffmpeg(request)
    for piece in pieces(data):
        passed += conversation.from_camera(piece)[0]
    assert not re.search(rb"(?:\A|\r\n\r\n)RTSP/\d\.\d 3", passed)
    names = re.findall(rb"(?m)^a=rtpmap:\d+ ([^/\s]+)", conversation.description)
    assert all(name.upper() in CODECS for name in names)


def description(data: bytes) -> None:
    """The same of a session description; what is admitted once is admitted again, as it is."""
    once = admitted(data, "camera")
    assert admitted(once, "camera") == once
    assert not re.search(rb"(?m)^a=rtpmap:.*realvideo", once)


def marks(data: bytes) -> None:
    """Frames of media: nothing of them is lost on the way."""
    end_marks = EndMarks({96: "H264"}, b"MARKMARK")
    for piece in pieces(data):
        if len(piece) >= 16:
            frame = b"$\0" + len(piece).to_bytes(2, "big") + piece
            assert end_marks.marked(frame).startswith(frame[:1])


def access_units(data: bytes) -> None:
    """Payloads of H.264 and H.265, in any pieces."""
    for codec in ("h264", "hevc"):
        units = AccessUnits(codec, b"\0\0\0\1MARK")
        for piece in pieces(data):
            units.add(piece, None, (0.0, 0.0))


def decoder_message(data: bytes) -> None:
    """What a decoder in other hands tells its reader."""
    unpack(data)


def camera_url(data: bytes) -> None:
    """An address: what is shown has no secret."""
    url = CameraUrl.parse(data.decode("utf-8", "replace").replace("PASSWORD", SECRET))
    if url.target.partition("?")[0].find(SECRET) < 0 and SECRET not in url.host:
        assert SECRET not in str(url).split("?")[0]


def posted_url(data: bytes) -> None:
    """An address, as posted."""
    policy = UrlPolicy(frozenset({"rtsp", "rtsps", "synthetic"}), SEEDS, AddressPolicy())
    address = policy.check(data.decode("utf-8", "replace"))
    assert not address.opened.startswith("/") or Path(address.opened).is_relative_to(SEEDS.resolve())


def log_line(data: bytes) -> None:
    """A line of the log: no password of a URL, whatever stands around it."""
    text = re.sub(r"[\s/'\"@\x00-\x1f]", "", data.decode("utf-8", "replace"))
    assert SECRET not in redacted(f"{text} rtsp://user:{SECRET}@camera/x?a={SECRET} {text}")


def view(data: bytes) -> None:
    """The filters of messages."""
    zones, fields, rate = [*data.decode("utf-8", "replace").split("\n"), "", ""][:3]
    try:
        max_rate = float(rate)
    except ValueError:
        max_rate = None
    View.parse(zones or None, fields or None, max_rate)


def body(data: bytes) -> None:
    """The bodies of POST and PATCH."""
    for model in (NewStream, StreamPatch):
        try:
            TypeAdapter(model).validate_json(data)
        except ValidationError:
            continue


def sink(data: bytes) -> None:
    """The address of a broker."""
    SinkAddress.parse(data.decode("utf-8", "replace"))


def kept_counts(data: bytes) -> None:
    """Counts as a damaged file has them."""
    stored = json.loads(data)
    if isinstance(stored, dict):
        totals = Totals.restored(stored, ())
        json.dumps(totals.to_json(), allow_nan=False)


@dataclass(frozen=True, slots=True)
class Target:
    """What is fed, and what it may raise."""

    run: Callable[[bytes], None]
    refuses: tuple[type[Exception], ...] = ()


TARGETS: Mapping[str, Target] = {
    "gate": Target(gate, (SourceError,)),
    "description": Target(description, (SourceError,)),
    "marks": Target(marks, (SourceError,)),
    "access_units": Target(access_units),
    "decoder_message": Target(decoder_message, (ValueError, RecursionError)),
    "camera_url": Target(camera_url, (SourceError,)),
    "posted_url": Target(posted_url, (Refused,)),
    "log_line": Target(log_line),
    "view": Target(view, (ValueError,)),
    "body": Target(body),
    "sink": Target(sink, (ValueError,)),
    "kept_counts": Target(kept_counts, (ValueError, RecursionError)),
}


def pieces(data: bytes) -> list[bytes]:
    """The data as a network would cut it, the same way each time."""
    chance, cut, begin = random.Random(len(data)), [], 0  # noqa: S311
    while begin < len(data):
        end = begin + chance.choice((1, 7, 100, 5000))
        cut.append(data[begin:end])
        begin = end
    return cut


class Coverage:
    """Lines of ours that were reached, each after which other: what a new input has to add to."""

    def __init__(self) -> None:
        self.known: set[tuple[str, int, int]] = set()
        self._new: set[tuple[str, int, int]] = set()

    def of(self, target: "Target", data: bytes) -> tuple[int, str | None]:
        """Try an input: how much of what it reaches is new, and what went wrong, if anything did."""
        self._new = set()
        sys.settrace(self._enter)
        try:
            failure = tried(target, data)
        finally:
            sys.settrace(None)
        self.known |= self._new
        return len(self._new), failure

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        name = frame.f_code.co_filename
        if "/edge/" not in name and "/service/" not in name:
            return None
        last = 0

        def line(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal last
            edge = (name, last, frame.f_lineno)
            if edge not in self.known:
                self._new.add(edge)
            last = frame.f_lineno
            return line

        return line


def mutated(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """A neighbour of `data`."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 8))):
        place = chance.randrange(len(changed) + 1)
        kind = chance.randrange(7)
        if kind == 0 and changed:
            changed[place % len(changed)] ^= 1 << chance.randrange(8)
        elif kind == 1:
            changed[place:place] = chance.choice(TOKENS)
        elif kind == 2:
            del changed[place : place + chance.choice((1, 4, 30))]
        elif kind == 3:
            changed[place:place] = changed[place : place + chance.choice((1, 8, 60))] * chance.choice((1, 2, 20))
        elif kind == 4:
            other = chance.choice(others)
            begin = chance.randrange(len(other) + 1)
            changed[place:] = other[begin:]
        elif kind == 5:
            changed[place : place + 1] = chance.randbytes(chance.choice((1, 2, 8)))
        else:
            end = place + chance.choice((1, 4, 12))
            changed[place:end] = chance.choice(TOKENS)
    return bytes(changed[:65536])


def tried(target: Target, data: bytes) -> str | None:
    """What went wrong with one input, if anything did."""
    try:
        target.run(data)
    except target.refuses:
        return None
    except Exception as error:  # whatever it is, it was not foreseen
        return f"{type(error).__name__}: {error}"
    return None


def fuzz(name: str, seconds: float, chance: random.Random) -> tuple[int, int, list[tuple[bytes, str]]]:
    """Inputs tried, inputs that reached something new, and those that went wrong: the first of each kind."""
    target, coverage = TARGETS[name], Coverage()
    corpus = [path.read_bytes() for path in sorted(SEEDS.glob(f"{name}-*"))] or [b""]
    wrong: dict[str, tuple[bytes, str]] = {}
    count, end_s, waiting = 0, time.monotonic() + seconds, list(corpus)
    while waiting or time.monotonic() < end_s:
        data = waiting.pop() if waiting else mutated(chance.choice(corpus), corpus, chance)
        new, failure = coverage.of(target, data)
        count += 1
        if failure is not None:
            wrong.setdefault(failure[:40], (data, failure))
        elif new and len(corpus) < 5000:
            corpus.append(data)
    return count, len(corpus), list(wrong.values())


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(description="Feed what reads bytes and texts of others with mutated seeds.")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seconds", type=float, help="instead of minutes")
    parser.add_argument("--only", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    options = parser.parse_args()
    seconds = options.minutes * 60 if options.seconds is None else options.seconds
    failed = False
    print(f"random seed {options.seed}")
    for name in options.only:
        count, kept, wrong = fuzz(name, seconds / len(options.only), random.Random(f"{options.seed}{name}"))  # noqa: S311
        print(f"{name:<16} {count:>9,} inputs, {kept:>5} of them new, {len(wrong)} wrong", flush=True)
        for data, told in wrong:
            failed = True
            path = SEEDS / f"{name}-{hashlib.sha256(data).hexdigest()[:10]}"
            path.write_bytes(data)
            print(f"  {path}: {told[:200]}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
