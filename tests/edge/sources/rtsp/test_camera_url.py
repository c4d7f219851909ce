import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sources.base import SourceError
from edge.sources.rtsp.camera_url import CameraUrl

WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=("Cs", "Cc")), min_size=1)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://camera", "rtsp://camera:554/"),
        ("rtsp://camera:8554/live?channel=1", "rtsp://camera:8554/live?channel=***"),
        ("rtsp://camera/x?%74oken=s3cret&p=s3cret&s3cret", "rtsp://camera:554/x?%74oken=***&p=***&***"),
        ("rtsps://[fe80::1]/x", "rtsps://[fe80::1]:322/x"),
        ("rtsp://me:s3cret@10.0.0.7/x", "rtsp://10.0.0.7:554/x"),
        ("rtsp://camera/user=me&password=s3cret&channel=1", "rtsp://camera:554/user=***&password=***&channel=***"),
        ("rtsp://camera/x?token=s3cret", "rtsp://camera:554/x?token=***"),
    ],
)
def test_address_is_shown_without_secrets(url: str, shown: str) -> None:
    parsed = CameraUrl.parse(url)
    assert str(parsed) == shown
    assert "s3cret" not in repr(parsed)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("", "invalid_url"),
        ("rtsp://", "invalid_url"),
        ("rtsp://camera:99999/", "invalid_url"),
        ("rtsp://camera/a b", "invalid_url"),
        ("rtsp://camera/\n", "invalid_url"),
        ("rtsp://[::1/x", "invalid_url"),
        ("rtsp://camera/" + "x" * 3000, "invalid_url"),
        ("http://camera/x", "scheme_not_allowed"),
    ],
)
def test_bad_address_is_refused_with_a_code(url: str, code: str) -> None:
    with pytest.raises(SourceError) as caught:
        CameraUrl.parse(url)
    assert caught.value.code == code


def test_credentials_given_twice_are_refused_without_repeating_them() -> None:
    with pytest.raises(SourceError, match="give them once") as caught:
        CameraUrl.parse("rtsp://me:s3cret@camera/", "you", "s3cret")
    assert "s3cret" not in str(caught.value)


@given(username=WORDS, password=WORDS)
def test_any_credentials_survive_the_way_to_the_decoder_and_back(username: str, password: str) -> None:
    parsed = CameraUrl.parse("rtsp://camera/x", username, password)
    again = CameraUrl.parse(parsed.with_secret())
    assert (again.username, again.password) == (username, password)
    assert str(parsed) == "rtsp://camera:554/x"
