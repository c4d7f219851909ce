"""What a camera says of its media (SDP), cut down to what FFmpeg needs of it and to codecs that cameras have.

FFmpeg knows dozens of payloads, some of which nobody has looked at for twenty years, and a session description may
choose any. So a description is written anew: video alone, in codecs from a list, with the few attributes that matter.
"""

import re

from edge.sources.base import SourceError

CODECS = {b"H264", b"H265", b"HEVC", b"JPEG", b"MP4V-ES", b"AV1"}
"""Names of RTP payloads, in capitals."""
JPEG_PAYLOAD = 26
"""The one number that stands for a codec of the list without saying so."""
FIRST_DYNAMIC = 96
_KEPT = re.compile(rb"[vostbc]=|a=(?:control|rtpmap|fmtp|framerate|framesize|range)[: ]|a=(?:recvonly|sendonly)$")
_VIDEO = re.compile(rb"m=video \d{1,5}(?:/\d+)? [A-Za-z/]+ (\d{1,3})(?: .*)?$")
_RTPMAP = re.compile(rb"a=rtpmap:(\d{1,3}) ([A-Za-z0-9._-]+)/\d+(?:/\d+)?\s*$")


def admitted(description: bytes, camera: str) -> bytes:
    """The description without all that FFmpeg shall not see. Raises SourceError codec_unsupported."""
    kept: list[bytes] = []
    in_video = True  # what stands ahead of all media belongs to them
    for line in re.split(rb"[\r\n\0]+", description):
        if line[:2].lower() == b"m=":
            in_video = _VIDEO.match(line) is not None
            if in_video:
                kept.append(line)
        elif in_video and _KEPT.match(line):
            kept.append(line)
    named = {match[1] for line in kept if (match := _RTPMAP.match(line))}
    for line in kept:
        if line.startswith(b"a=rtpmap") and ((match := _RTPMAP.match(line)) is None or not _known(match[2])):
            raise _unsupported(camera, line.partition(b" ")[2])
        if (video := _VIDEO.match(line)) and video[1] not in named and int(video[1]) != JPEG_PAYLOAD:
            raise _unsupported(camera, b"payload " + video[1])
    return b"".join(line + b"\r\n" for line in kept)


def _known(name: bytes) -> bool:
    return name.upper() in CODECS


def _unsupported(camera: str, what: bytes) -> SourceError:
    shown = re.sub(rb"[^A-Za-z0-9._ /-]", b"?", what[:40]).decode()
    return SourceError(
        "codec_unsupported", f"{camera} sends {shown}, which is not decoded here; set it to H.264 or H.265"
    )
