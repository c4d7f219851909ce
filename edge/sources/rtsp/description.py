"""What a camera says of its media (SDP), cut down to one video in a codec that cameras have, and written anew.

FFmpeg knows dozens of payloads, some of which nobody has looked at for twenty years, and a session description may
choose any. Cameras write it as they like, too: ports below zero, bytes of their memory, two videos of which FFmpeg
would set up both. So FFmpeg gets the few lines that matter, in the form that RFC 8866 wants.
"""

import re
from dataclasses import dataclass

from edge.sources.base import SourceError

CODECS = {b"H264", b"H265", b"HEVC", b"JPEG", b"MP4V-ES", b"AV1"}
"""Names of RTP payloads, in capitals."""
JPEG_PAYLOAD = b"26"
"""The one number that stands for a codec of the list without saying so."""
_HEAD = (b"v=0", b"o=- 0 0 IN IP4 0.0.0.0", b"s=camera", b"c=IN IP4 0.0.0.0", b"t=0 0")
_VIDEO = re.compile(rb"(?i)m=\s*video\s+\S+\s+\S+\s+(.+)$")
_RTPMAP = re.compile(rb"(?i)a=rtpmap:\s*(\d{1,3})\s+([a-z0-9._-]+)\s*(?:/\s*(\d{1,6}))?")
_FMTP = re.compile(rb"(?i)a=fmtp:\s*(\d{1,3})\s+(.+)$")
_KEPT = re.compile(rb"(?i)a=(control|range|framerate|framesize):\s*(\S.*)$")


@dataclass(frozen=True, slots=True)
class _Video:
    """A medium that can be asked for."""

    number: bytes
    """RTP's number of its payload."""
    codec: bytes | None
    """None: no name of the list is given for that number."""
    shown: bytes
    """What it is, for people."""
    lines: list[bytes]


def admitted(description: bytes, camera: str) -> bytes:
    """The first video that can be decoded, and nothing else. Raises SourceError codec_unsupported where none can be."""
    media: list[list[bytes]] = [[]]
    for line in re.split(rb"[\r\n\0]+", description):
        line = line.strip()
        if line[:2].lower() == b"m=":
            media.append([])
        media[-1].append(line)
    videos = [video for lines in media[1:] if (video := _video(lines))]
    known = next((video for video in videos if video.codec is not None), None)
    if videos and known is None:
        raise _unsupported(camera, videos[0].shown)
    lines = [*_HEAD, *_kept(media[0])]
    if known is not None:
        lines += [b"m=video 0 RTP/AVP " + known.number, *known.lines]
    return b"".join(line + b"\r\n" for line in lines)


def _video(lines: list[bytes]) -> _Video | None:
    """The payload of a medium that is in the list, else its first one; None where it is no video."""
    match = _VIDEO.match(lines[0])
    numbers = re.findall(rb"(?<!\S)\d{1,3}(?!\S)", match[1]) if match else []
    if not numbers:
        return None
    named = {found[1]: found for line in lines if (found := _RTPMAP.match(line))}
    if not named.keys() & set(numbers):
        numbers = [*named, *numbers]  # a number that was never given to the medium: it is the one that comes
    number = next((one for one in numbers if one in named and named[one][2].upper() in CODECS), None)
    if number is None and JPEG_PAYLOAD in numbers and JPEG_PAYLOAD not in named:
        return _Video(JPEG_PAYLOAD, b"JPEG", b"", _kept(lines))
    if number is None:
        first = named.get(numbers[0])
        return _Video(numbers[0], None, b"payload " + numbers[0] if first is None else first[2], [])
    codec = named[number][2]
    rtpmap = b"a=rtpmap:%b %b/%b" % (number, codec, named[number][3] or b"90000")
    formats = [
        b"a=fmtp:%b %b" % (number, found[2]) for line in lines if (found := _FMTP.match(line)) and found[1] == number
    ]
    return _Video(number, codec, codec, [rtpmap, *formats, *_kept(lines)])


def _kept(lines: list[bytes]) -> list[bytes]:
    return [b"a=%b:%b" % (found[1].lower(), found[2]) for line in lines if (found := _KEPT.match(line))]


def _unsupported(camera: str, what: bytes) -> SourceError:
    shown = re.sub(rb"[^A-Za-z0-9._ /-]", b"?", what[:40]).decode()
    return SourceError(
        "codec_unsupported", f"{camera} sends {shown}, which is not decoded here; set it to H.264 or H.265"
    )
