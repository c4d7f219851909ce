"""A camera's password stays with its camera."""

import pytest

from edge.pipeline.config import LaneSettings
from service.errors import Refused
from service.streams.schema import NewStream, StreamPatch
from service.streams.spec import StreamSpec

DEFAULTS = LaneSettings()
SPEC = StreamSpec.from_request(
    NewStream.model_validate(
        {"id": "door", "url": "rtsp://10.0.0.7:554/live", "credentials": {"username": "viewer", "password": "s3cret"}}
    ),
    DEFAULTS,
)


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://10.0.0.8:554/live",
        "rtsp://10.0.0.7:8554/live",
        "rtsps://10.0.0.7:554/live",
        "rtsp://10.0.0.7:554@10.0.0.8/live",
        "rtsp://10.0.0.7:554\\@10.0.0.8/live",
        "rtsp://evil.example?10.0.0.7:554/live",
        "//10.0.0.7:554/live",
        "",
    ],
)
def test_another_server_does_not_get_the_password(url: str) -> None:
    with pytest.raises(Refused) as refused:
        SPEC.changed(StreamPatch(url=url), DEFAULTS)
    assert refused.value.code == "credentials_needed"
    assert "s3cret" not in refused.value.detail


@pytest.mark.parametrize("url", ["rtsp://10.0.0.7:554/other", "RTSP://10.0.0.7:554/live?channel=2"])
def test_another_path_of_the_same_server_does(url: str) -> None:
    assert SPEC.changed(StreamPatch(url=url), DEFAULTS).credentials == SPEC.credentials


def test_another_server_gets_what_is_given_with_it() -> None:
    body = {"url": "rtsp://10.0.0.8/live", "credentials": {"username": "a", "password": "b"}}
    changed = SPEC.changed(StreamPatch.model_validate(body), DEFAULTS)
    assert changed.credentials is not None
    assert changed.credentials.password == "b"  # noqa: S105
    assert SPEC.changed(StreamPatch.model_validate({**body, "credentials": None}), DEFAULTS).credentials is None
