"""What FFmpeg gets of a session description. The odd ones are of kinds that users of other programs have reported."""

import re
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sources.base import SourceError
from edge.sources.rtsp.description import admitted

HEAD = ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=Media Server", "c=IN IP4 0.0.0.0", "t=0 0", "a=control:*"]
FORMAT = "a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z2QAKqwsaoHgCJ+W,aO4xshsA"
H264 = ["m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000", FORMAT, "a=control:trackID=0"]
AUDIO = ["m=audio 0 RTP/AVP 8", "a=rtpmap:8 PCMA/8000", "a=control:trackID=1"]
WANTED = ["m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000", FORMAT, "a=control:trackID=0"]


def described(*lines: str, end: str = "\r\n") -> list[str]:
    """The media lines of what is admitted."""
    out = admitted((end.join(lines) + end).encode("latin-1"), "camera").decode().split("\r\n")
    return out[next((i for i, line in enumerate(out) if line.startswith("m=")), len(out)) : -1]


def test_nothing_described_is_no_video() -> None:
    assert described() == described(*HEAD, *AUDIO) == []


ODD = {
    "as it should be": [*HEAD, *H264, *AUDIO],
    "sound first": [*HEAD, *AUDIO, *H264],
    "attributes in another order": [*HEAD, H264[0], H264[2], H264[1], H264[3]],
    "only the medium": H264,
    "a port below zero and an address of loose bytes": [
        *HEAD,
        "m=video -1353744643 RTP/AVP 96",
        "c=IN IP4 '&\xf3\x01",
        *H264[1:],
    ],
    "a port beyond 65535": [*HEAD, "m=video 123456789 RTP/AVP 96", *H264[1:]],
    "lines of a log in between": [*HEAD, "", "14:47:30.764", *H264, "", "14:47:30.764 WRN", *AUDIO],
    "sound without a number": [*HEAD, *H264, "m=audio 0 RTP/AVP (null)", "a=rtpmap", "a=control:track=2"],
    "a medium of a maker's own": [
        *HEAD,
        *H264,
        "m=application/TP-LINK 0 RTP/AVP smart/1/90000",
        "a=rtpmap:95 TP-LINK/90000",
    ],
    "ONVIF's metadata": [*HEAD, *H264, "m=application 0 RTP/AVP 107", "a=rtpmap:107 vnd.onvif.metadata/90000"],
    "ONVIF's way back for sound": [*HEAD, *H264, "m=audio 0 RTP/AVP 0", "a=rtpmap:0 PCMU/8000", "a=sendonly"],
    "a second video": [*HEAD, *H264, "m=video 0 RTP/AVP 97", "a=rtpmap:97 H264/90000", "a=control:trackID=5"],
    "metadata that calls itself video, first": [*HEAD, "m=video 0 RTP/AVP 98", "a=rtpmap:98 X-META/90000", *H264],
    "several payloads, the first of another kind": [
        *HEAD,
        "m=video 0 RTP/AVP 99 96",
        "a=rtpmap:99 rtx/90000",
        *H264[1:],
    ],
    "a number that the medium does not have": [*HEAD, "m=video 0 RTP/AVP 35", *H264[1:]],
    "blanks": [*HEAD, "m=video  0  RTP/AVP   96 ", "a=rtpmap: 96  H264/90000 ", f"  {FORMAT}", "a=control: trackID=0"],
    "no clock": [*HEAD, H264[0], "a=rtpmap:96 H264", *H264[2:]],
    "parameters of audio on a clock": [*HEAD, H264[0], "a=rtpmap:96 H264/90000/1", *H264[2:]],
    "another profile": [*HEAD, "m=video 0 RTP/AVPF 96", *H264[1:]],
    "two ports": [*HEAD, "m=video 5004/2 RTP/AVP 96", *H264[1:]],
}


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
@pytest.mark.parametrize("kind", ODD)
def test_the_first_video_that_can_be_decoded_is_found(kind: str, end: str) -> None:
    assert sorted(described(*ODD[kind], end=end)) == sorted(WANTED)


@pytest.mark.parametrize("name", ["h264", "H265", "hevc", "JPEG", "MP4V-ES", "AV1"])
def test_codecs_of_cameras_are_admitted_in_any_case(name: str) -> None:
    assert described("m=video 0 RTP/AVP 97", f"a=rtpmap:97 {name}/90000")[1] == f"a=rtpmap:97 {name}/90000"


def test_motion_jpeg_needs_no_name() -> None:
    assert described(*HEAD, "m=video 0 RTP/AVP 26", "a=control:track1") == ["m=video 0 RTP/AVP 26", "a=control:track1"]


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        (["m=video 0 RTP/AVP 96", "a=rtpmap:96 X-HOLOGRAM/90000"], "X-HOLOGRAM"),
        (["m=video 0 RTP/AVP 96"], "payload 96"),
        (["m=video 0 RTP/AVP 32"], "payload 32"),
        (["m=video 0 RTP/AVP 26", "a=rtpmap:26 x-pn-realvideo/90000"], "x-pn-realvideo"),
    ],
)
def test_other_codecs_are_refused_by_name(lines: list[str], shown: str) -> None:
    with pytest.raises(SourceError, match=f"camera sends {shown}, which is not decoded here") as refused:
        described(*HEAD, *lines)
    assert refused.value.code == "codec_unsupported"


LINES = st.lists(st.one_of(st.sampled_from([*HEAD, *H264, *AUDIO, *chain(*ODD.values())]), st.text(max_size=30)))


@given(LINES)
def test_what_is_admitted_is_one_medium_at_most_and_is_admitted_again_as_it_is(lines: list[str]) -> None:
    try:
        once = admitted("\r\n".join(lines).encode(), "camera")
    except SourceError:
        return
    assert admitted(once, "camera") == once
    assert len(re.findall(rb"(?m)^m=", once)) <= 1 and len(re.findall(rb"(?m)^a=rtpmap", once)) <= 1
