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
        ("ftp://camera/x", "scheme_not_allowed"),
    ],
)
def test_bad_address_is_refused_with_a_code(url: str, code: str) -> None:
    with pytest.raises(SourceError) as caught:
        CameraUrl.parse(url)
    assert caught.value.code == code


TAIL = "geheim9tail"


@pytest.mark.parametrize("between", ["/", "#", "?", "@", "\\", "/?", "##", "%2F/", "@@", "1/", "12#3"])
@pytest.mark.parametrize("begin", ["admin:ab", "admin:12", "admin:", "ad", "a@b:c", "admin:p%40q"])
@pytest.mark.parametrize("end", ["10.0.0.7/x", "camera:554/live?channel=1", "[fe80::1]:554/x"])
def test_a_bare_password_is_refused_with_the_remedy_and_without_a_part_of_it(
    begin: str, between: str, end: str
) -> None:
    with pytest.raises(SourceError) as caught:
        CameraUrl.parse(f"rtsp://{begin}{between}{TAIL}@{end}")
    assert caught.value.code == "invalid_url"
    for remedy in ("%2F", "%23", "%3F", "%40"):
        assert remedy in str(caught.value)
    for secret in (TAIL, "admin", "ab", "12"):
        assert secret not in str(caught.value).replace("behind", "")


@given(password=WORDS)
def test_no_password_as_it_is_leads_to_another_host_than_was_meant(password: str) -> None:
    """Either it is refused, or the host is the one behind it."""
    try:
        parsed = CameraUrl.parse(f"rtsp://me:{password}@camera/x")
    except SourceError as error:
        assert error.code == "invalid_url"
    else:
        assert parsed.host == "camera"


def test_an_at_sign_in_the_path_is_taken_encoded_or_where_credentials_are_given_apart() -> None:
    assert CameraUrl.parse("rtsp://camera/live%40main").target == "/live%40main"
    assert CameraUrl.parse("rtsp://camera/live@main", "me", "s3cret").target == "/live%40main"


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
