"""RTSP between FFmpeg and cameras of all dialects, byte by byte; and conversations that were mutated."""

import os
import random
import re
import struct
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.sources.base import SourceError
from edge.sources.rtsp.camera_url import CameraUrl
from edge.sources.rtsp.conversation import LONGEST_BODY, MOST_STRAY, Conversation
from edge.sources.rtsp.description import admitted
from edge.sources.rtsp.rtp import new_mark

MARK = new_mark()
URL = CameraUrl.parse("rtsp://admin:s3cret@camera:8554/live")
OWN = CameraUrl.parse("rtsp://127.0.0.1:4321/live")
SDP = (
    b"v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=camera\r\nt=0 0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\n"
    b"a=rtpmap:96 H264/90000\r\na=control:trackID=0\r\n"
)
TRANSPORT = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"
MUTATED = int(os.environ.get("ATTTRACK_FUZZ", "2000"))
"""Conversations to be mutated; raise it for a long run."""


def frame(payload: bytes, channel: int = 0, number: int = 1, last: bool = True) -> bytes:
    head = struct.pack(">BBHII", 0x80, 96 | 0x80 * last, number & 0xFFFF, 90, 7) if channel == 0 else b""
    return struct.pack(">cBH", b"$", channel, len(head) + len(payload)) + head + payload


REPORT = frame(struct.pack(">BBHIIIIII", 0x80, 200, 6, 7, 1, 2, 3, 4, 5), channel=1)


@dataclass
class Talk:
    """FFmpeg's and the camera's ends of a conversation."""

    url: CameraUrl = URL
    talk: Conversation = field(init=False)
    asked: list[bytes] = field(default_factory=list)
    """What the camera got."""
    number: int = 0

    def __post_init__(self) -> None:
        self.talk = Conversation(self.url, OWN, MARK)

    def ask(self, method: str, *lines: str, path: str = "/live") -> bytes:
        """What the camera gets of a request."""
        self.number += 1
        head = [f"{method} rtsp://127.0.0.1:4321{path} RTSP/1.0", f"CSeq: {self.number}", *lines, "", ""]
        self.asked.append(self.talk.from_ffmpeg("\r\n".join(head).encode()))
        return self.asked[-1]

    def reply(self, status: str = "200 OK", *lines: str, body: bytes = b"", cseq: bool = True) -> tuple[bytes, bytes]:
        """What FFmpeg and the camera get of a reply to the last request."""
        number = re.search(rb"CSeq: (\d+)", self.asked[-1])
        assert number is not None
        head = [f"RTSP/1.0 {status}", *([f"CSeq: {number[1].decode()}"] if cseq else []), *lines]
        head += [f"Content-Length: {len(body)}"] if body else []
        for_ffmpeg, for_camera = self.talk.from_camera("\r\n".join([*head, "", ""]).encode() + body)
        if for_camera:
            self.asked.append(for_camera)
        return for_ffmpeg, for_camera

    def play(self) -> bytes:
        """Set a session up; what FFmpeg gets with the answer to PLAY."""
        self.ask("OPTIONS")
        self.reply()
        self.ask("DESCRIBE")
        self.reply("200 OK", "Content-Type: application/sdp", body=SDP)
        self.ask("SETUP", TRANSPORT, path="/live/trackID=0")
        self.reply("200 OK", TRANSPORT, "Session: 1")
        self.ask("PLAY")
        return self.reply("200 OK", "Session: 1")[0]


def payloads(stream: bytes) -> list[bytes]:
    """Of all packets on channel 0 that are no marks; asserts that nothing but whole frames is there."""
    found, place = [], 0
    while place < len(stream):
        assert stream[place : place + 1] == b"$", stream[place : place + 20]
        length = int.from_bytes(stream[place + 2 : place + 4], "big")
        assert place + 4 + length <= len(stream)
        if stream[place + 1] == 0 and stream[place + 16 : place + 4 + length] != MARK:
            found.append(stream[place + 16 : place + 4 + length])
        place += 4 + length
    return found


def test_nothing_is_said_where_nothing_came() -> None:
    talk = Conversation(URL, OWN)
    assert talk.from_ffmpeg(b"") == b"" and talk.from_camera(b"") == (b"", b"")
    assert not talk.never_answered


def test_the_camera_is_asked_under_its_own_name_and_answers_under_ours() -> None:
    talk = Talk()
    assert talk.ask("DESCRIBE").startswith(b"DESCRIBE rtsp://camera:8554/live RTSP/1.0\r\n")
    reply, _ = talk.reply("200 OK", "Content-Base: rtsp://camera:8554/live/", body=SDP)
    assert (
        b"Content-Base: rtsp://127.0.0.1:4321/live/" in reply
        and b"CSeq: 1\r\n" in reply
        and reply.endswith(admitted(SDP, "camera"))
    )


def test_a_login_is_given_when_it_is_asked_for_and_kept() -> None:
    talk = Talk()
    assert b"Authorization" not in talk.ask("DESCRIBE")
    reply, again = talk.reply("401 Unauthorized", 'WWW-Authenticate: Digest realm="x", nonce="y", algorithm=SHA-256')
    assert reply == b"" and again.startswith(b"DESCRIBE ") and b"algorithm=SHA-256" in again
    assert b"s3cret" not in again and b"CSeq: 2" in again
    assert b"CSeq: 1\r\n" in talk.reply(body=SDP)[0]
    assert b"Authorization: Digest" in talk.ask("SETUP", TRANSPORT)


@pytest.mark.parametrize(
    ("url", "words"), [(URL, "refused the credentials"), (CameraUrl.parse("rtsp://camera:8554/live"), "was given none")]
)
def test_a_refusal_says_whether_there_were_credentials(url: CameraUrl, words: str) -> None:
    talk = Talk(url)
    talk.ask("DESCRIBE")
    with pytest.raises(SourceError, match=words) as caught:
        for _ in range(4):
            talk.reply("401 Unauthorized", 'WWW-Authenticate: Digest realm="x", nonce="y"')
    assert caught.value.code == "auth_failed"
    assert len(talk.asked) <= 2, "one try a connection"


REFUSALS = {
    ("SETUP", "461 Unsupported Transport"): "transport_refused",
    ("SETUP", "406 Not Acceptable"): "transport_refused",
    ("SETUP", "400 Bad Request"): "transport_refused",
    ("SETUP", "454 Session Not Found"): "not_found",
    ("SETUP", "453 Not Enough Bandwidth"): "connection_failed",
    ("DESCRIBE", "404 Not Found"): "not_found",
    ("DESCRIBE", "403 Forbidden"): "auth_failed",
    ("DESCRIBE", "503 Service Unavailable"): "connection_failed",
    ("DESCRIBE", "500"): "connection_failed",
    ("DESCRIBE", "302 Found"): "connection_failed",
    ("PLAY", "457 Invalid Range"): "connection_failed",
}


@pytest.mark.parametrize(("asked", "code"), REFUSALS.items())
def test_what_ends_a_session_is_said_in_words(asked: tuple[str, str], code: str) -> None:
    talk = Talk()
    talk.ask(asked[0], TRANSPORT)
    with pytest.raises(SourceError) as caught:
        talk.reply(asked[1])
    assert caught.value.code == code and "camera:8554" in str(caught.value) and "s3cret" not in str(caught.value)
    if code == "transport_refused":
        assert "TCP" in str(caught.value)


def test_a_camera_that_answers_with_udp_is_said_to_refuse_tcp() -> None:
    talk = Talk()
    talk.ask("SETUP", TRANSPORT)
    with pytest.raises(SourceError) as caught:
        talk.reply("200 OK", "Transport: RTP/AVP;unicast;client_port=5000-5001;server_port=6000-6001")
    assert caught.value.code == "transport_refused"


@pytest.mark.parametrize("status", ["405 Method Not Allowed", "501 Not Implemented", "400 Bad Request"])
def test_options_may_be_refused(status: str) -> None:
    talk = Talk()
    talk.ask("OPTIONS")
    assert talk.reply(status)[0].startswith(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n")


def test_replies_without_a_number_or_channels_belong_to_what_was_asked() -> None:
    talk = Talk()
    talk.ask("SETUP", TRANSPORT)
    reply, _ = talk.reply("200 OK", "Transport: RTP/AVP/TCP;unicast", "Session: 1", cseq=False)
    assert b"interleaved=0-1" in reply and b"CSeq: 1\r\n" in reply


@pytest.mark.parametrize("coding", ["latin-1", "cp1251", "shift-jis", "utf-16"])
def test_names_in_any_coding_reach_ffmpeg_as_text(coding: str) -> None:
    name = {"latin-1": "Caméra Süd", "cp1251": "Камера", "shift-jis": "カメラ", "utf-16": "Süd"}[coding]
    talk = Talk()
    talk.ask("DESCRIBE")
    reply, _ = talk.reply(body=SDP.replace(b"s=camera", b"s=" + name.encode(coding)))
    reply.decode()
    assert b"a=rtpmap:96 H264/90000\r\n" in reply and b"\0" not in reply
    length = re.search(rb"Content-Length: (\d+)", reply)
    assert length is not None and reply.partition(b"\r\n\r\n")[2] == reply[-int(length[1]) :]


def test_a_mark_comes_with_the_answer_to_play_and_pictures_that_were_earlier_behind_it() -> None:
    talk = Talk()
    talk.ask("DESCRIBE")
    talk.reply(body=SDP)
    talk.ask("SETUP", TRANSPORT)
    talk.reply("200 OK", TRANSPORT)
    assert talk.talk.from_camera(frame(b"left over")) == (b"", b"")
    talk.ask("PLAY")
    assert talk.talk.from_camera(frame(b"early")) == (b"", b"")
    _, _, media = talk.reply()[0].partition(b"\r\n\r\n")
    assert media.index(MARK) < media.index(b"early") and payloads(media) == [b"early"]


STRAY = {
    "reports of four bytes": b"$\x01\x00\x04\x80\xc9\x00\x00",
    "reports of two bytes": b"$\x01\x00\x02\x80\xc9",
    "empty frames": b"$\x00\x00\x00$\x01\x00\x00",
    "video of eleven bytes": b"$\x00\x00\x0b" + bytes((0x80, 96)) + bytes(9),
    "frames of channels that nobody set up": b"$\x06\x00\x05hello",
    "line ends": b"\r\n\r\n\n",
    "zeros": bytes(9),
    "letters": b"abc RTS",
    "a dollar": b"$",
    "two dollars": b"$$",
    "noise": bytes(range(0x25, 0x52)) + bytes(range(0x53, 0xFF)),
    "a broken reply": b"RTSP/1.0 200 OK\r\n$",
    "a reply with two lengths": b"RTSP/1.0 200 OK\r\nContent-Length: 5\r\nContent-Length: 500\r\n\r\n",
    "a reply without end": b"RTSP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % (LONGEST_BODY + 1),
    "a web server's answer": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "another protocol": b"GET / HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("stray", STRAY.values(), ids=STRAY.keys())
def test_pictures_go_on_whatever_lies_between_them(stray: bytes) -> None:
    talk = Talk()
    talk.play()
    out = b""
    for number in range(1, 41):
        came = frame(b"picture %d " % number + bytes(50), number=number) + (stray if number % 8 == 0 else b"") + REPORT
        out += talk.talk.from_camera(came)[0]
    found = payloads(out)
    assert len(found) >= 35, "a stray byte may cost the picture behind it"
    assert found == sorted(found, key=lambda one: int(one.split()[1]))


@settings(deadline=None)  # ten thousand frames, on whatever machine
@given(st.binary(max_size=80), st.integers(0, 40))
def test_any_bytes_between_pictures_cost_a_few_at_most(stray: bytes, cut: int) -> None:
    talk = Talk()
    talk.play()
    came = b"".join(frame(b"picture %d" % number + bytes(40), number=number) for number in range(30))
    came = came[: 10 * 69 + cut] + stray + came[10 * 69 + cut :]
    out = (
        talk.talk.from_camera(came)[0] + talk.talk.from_camera(b"".join(frame(b"z", number=n) for n in range(9999)))[0]
    )
    assert payloads(out).count(b"z") >= 9990 - 65_540 // 17
    payloads(out)


def test_the_same_comes_out_byte_by_byte() -> None:
    came = b"".join(frame(b"p%d" % n, number=n) + REPORT + b"\r\n" for n in range(9))
    whole, pieces = Talk(), Talk()
    whole.play()
    pieces.play()
    assert b"".join(pieces.talk.from_camera(bytes((one,)))[0] for one in came) == whole.talk.from_camera(came)[0]


def test_the_cameras_own_requests_are_answered_here() -> None:
    talk = Talk()
    talk.play()
    for method, status in (("OPTIONS", b"200"), ("GET_PARAMETER", b"200"), ("ANNOUNCE", b"200"), ("REDIRECT", b"501")):
        request = f"{method} rtsp://elsewhere/ RTSP/1.0\r\nCSeq: 77\r\nLocation: rtsp://elsewhere/\r\n\r\n".encode()
        for_ffmpeg, for_camera = talk.talk.from_camera(request + frame(b"x"))
        assert payloads(for_ffmpeg) == [b"x"]
        assert for_camera.startswith(b"RTSP/1.0 " + status) and b"CSeq: 77\r\n" in for_camera


def test_nobody_who_speaks_another_protocol_is_listened_to_for_long() -> None:
    with pytest.raises(SourceError, match="does not speak RTSP"):
        Conversation(URL, OWN).from_camera(b"SSH-2.0-OpenSSH_9.6 " * (MOST_STRAY // 16))
    talk = Conversation(URL, OWN)
    talk.from_camera(b"SSH-2.0-OpenSSH_9.6\r\n")
    assert talk.never_answered


def camera_says(requests: bytes, rng: random.Random) -> bytes:
    """A camera's whole side of a session, with pictures."""
    out = []
    for method, number in re.findall(rb"(\w+) rtsp\S* RTSP/1.0\r\nCSeq: (\d+)", requests):
        body = SDP if method == b"DESCRIBE" else b""
        more = f"{TRANSPORT}\r\nSession: 1;timeout=60\r\n".encode() if method == b"SETUP" else b""
        out.append(b"RTSP/1.0 200 OK\r\nCSeq: %s\r\n%sContent-Length: %d\r\n\r\n%s" % (number, more, len(body), body))
    out += [frame(rng.randbytes(rng.randrange(60)), number=n) + (REPORT if n % 5 == 0 else b"") for n in range(20)]
    return b"".join(out)


def mutated(text: bytes, rng: random.Random) -> bytes:
    """Bytes turned, cut out, put in, repeated and exchanged for words that mean something."""
    out = bytearray(text)
    words = (
        b"$",
        b"RTSP/1.0 ",
        b"\r\n\r\n",
        b"Content-Length: ",
        b"401",
        b"302",
        b"-1",
        b"\0",
        b"\xff\xfe",
        b"99999999999",
    )
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        place, length = rng.randrange(len(out) + 1), rng.choice((1, 1, 2, 4, 30, 200))
        match rng.randrange(5):
            case 0:
                out[place : place + length] = rng.randbytes(min(length, len(out) - place))
            case 1:
                del out[place : place + length]
            case 2:
                out[place:place] = rng.randbytes(length)
            case 3:
                out[place:place] = out[place : place + length]
            case _:
                out[place : place + rng.randrange(9)] = rng.choice(words)
    return bytes(out)


@pytest.mark.parametrize("seed", range(4))
def test_mutated_conversations_end_in_words_or_in_whole_frames(seed: int) -> None:
    """Whatever a camera sends: no exception but ours, no secret, no exception's name, nothing but whole frames."""
    rng = random.Random(seed)  # noqa: S311
    for _ in range(MUTATED // 4):
        talk = Talk()
        requests = b"".join(talk.ask(method, TRANSPORT) for method in ("OPTIONS", "DESCRIBE", "SETUP", "PLAY"))
        came = mutated(camera_says(requests, rng), rng)
        cuts = sorted(rng.randrange(len(came) + 1) for _ in range(3))
        out = b""
        try:
            for begin, end in zip([0, *cuts], [*cuts, len(came)], strict=True):
                out += talk.talk.from_camera(came[begin:end])[0]
            out += talk.talk.from_camera(frame(b"the end"))[0]
        except SourceError as error:
            assert error.code.isidentifier()
            assert not re.search(r"\w(Error|Exception)\b|Traceback|s3cret", str(error)), str(error)
        else:
            place = 0
            while place < len(out):
                if out[place : place + 1] == b"$":
                    place += 4 + int.from_bytes(out[place + 2 : place + 4], "big")
                    continue
                head, _, _ = out[place:].partition(b"\r\n\r\n")
                length = re.search(rb"(?m)^Content-Length: (\d+)\r?$", head)
                place += len(head) + 4 + (int(length[1]) if length else 0)
                assert head.startswith(b"RTSP/1.0 ")
            assert place == len(out)
