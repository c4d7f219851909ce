"""Which addresses a stream may have, and that no secret is ever shown."""

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.cameras.addresses import AddressPolicy
from service.cameras.url_policy import Credentials, UrlPolicy
from service.errors import Refused

POLICY = UrlPolicy(frozenset({"rtsp", "rtsps", "synthetic"}))
CANARY = "s3cr3t-c4n4ry"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("", "invalid_url"),
        ("door", "invalid_url"),
        ("rtsp://", "invalid_url"),
        ("rtsp:///live", "invalid_url"),
        ("rtsp://host:99999/", "invalid_url"),
        ("rtsp://[::1/", "invalid_url"),
        ("rtsp://host/a b", "invalid_url"),
        ("rtsp://host/\n", "invalid_url"),
        ("rtsp://host/" + "a" * 2048, "invalid_url"),
        ("http://host/a.mjpg", "scheme_not_allowed"),
        ("file:///etc/passwd", "scheme_not_allowed"),
        ("exec:rm", "scheme_not_allowed"),
        ("rtsp://localhost/live", "address_not_allowed"),
        ("rtsp://127.0.0.1/live", "address_not_allowed"),
        ("rtsp://127.9.9.9/live", "address_not_allowed"),
        ("rtsp://[::1]/live", "address_not_allowed"),
        ("rtsp://[::ffff:127.0.0.1]/live", "address_not_allowed"),
        ("rtsp://0.0.0.0/live", "address_not_allowed"),
        ("rtsp://LOCALHOST./live", "address_not_allowed"),
        ("rtsp://a.localhost/live", "address_not_allowed"),
        ("rtsp://169.254.169.254/latest", "address_not_allowed"),
        ("rtsp://[fe80::1%25eth0]/live", "address_not_allowed"),
        ("rtsp://0x7f000001/live", "invalid_url"),
        ("rtsp://2130706433/live", "invalid_url"),
        ("rtsp://127.1/live", "invalid_url"),
        ("rtsp://0177.0.0.1/live", "invalid_url"),
        ("rtsp://192.168.1.20:22/live", "address_not_allowed"),
    ],
)
def test_url_is_refused_with_a_stable_code(url: str, code: str) -> None:
    with pytest.raises(Refused) as refused:
        POLICY.check(url)
    assert refused.value.code == code


@pytest.mark.parametrize("url", ["rtsp://192.168.1.20/live", "rtsps://cam.example:322/a", "synthetic://?people=3"])
def test_good_url_passes(url: str) -> None:
    assert POLICY.check(url).shown.startswith(url.partition("/")[0])


def test_loopback_passes_where_allowed() -> None:
    assert (
        UrlPolicy(frozenset({"rtsp"}), addresses=AddressPolicy(allow_loopback=True))
        .check("rtsp://127.0.0.1:8554/a")
        .opened
    )


def test_scheme_can_be_switched_off() -> None:
    with pytest.raises(Refused, match="rtsps://"):
        UrlPolicy(frozenset({"rtsps"})).check("rtsp://192.168.1.20/live")


def test_password_is_opened_but_never_shown() -> None:
    for address in (
        POLICY.check(f"rtsp://viewer:{CANARY}@10.0.0.1/live"),
        POLICY.check("rtsp://10.0.0.1/live", Credentials("viewer", CANARY)),
    ):
        assert CANARY in address.opened
        assert address.has_credentials
        assert CANARY not in repr(address)
        assert "viewer" not in repr(address)


def test_nothing_of_the_query_is_shown_but_names() -> None:
    address = POLICY.check(f"rtsp://10.0.0.1/live?channel=1&password={CANARY}&subtype=0")
    assert CANARY in address.opened
    assert CANARY not in repr(address)
    assert address.shown == "rtsp://10.0.0.1:554/live?channel=***&password=***&subtype=***"


def test_user_in_the_url_and_credentials_exclude_each_other() -> None:
    with pytest.raises(Refused) as refused:
        POLICY.check(f"rtsp://viewer:{CANARY}@10.0.0.1/live", Credentials("viewer", CANARY))
    assert refused.value.code == "invalid_url"
    assert CANARY not in refused.value.detail


def test_credentials_do_not_show_in_their_repr() -> None:
    assert CANARY not in repr(Credentials("viewer", CANARY))


@given(st.text(max_size=60))
def test_any_text_passes_or_is_refused(url: str) -> None:
    try:
        POLICY.check(url)
    except Refused as refused:
        assert refused.code


@given(st.text(min_size=1, max_size=20), st.text(max_size=20))
def test_any_credentials_come_back_from_the_opened_url(user: str, password: str) -> None:
    try:
        opened = POLICY.check("rtsp://10.0.0.1/live", Credentials(user, password)).opened
    except (Refused, UnicodeEncodeError):
        return
    assert opened == f"rtsp://{quote(user, safe='')}:{quote(password, safe='')}@10.0.0.1:554/live"


def test_file_is_opened_only_below_the_media_directory(tmp_path: Path) -> None:
    media = tmp_path / "media"
    (media / "deep").mkdir(parents=True)
    (media / "deep" / "a b.mp4").touch()
    (tmp_path / "outside.mp4").touch()
    (media / "link.mp4").symlink_to(tmp_path / "outside.mp4")
    policy = UrlPolicy(frozenset(), media)
    for url in ("deep/a%20b.mp4", f"file://{quote(str(media))}/deep/a%20b.mp4"):
        address = policy.check(url)
        assert address.opened == str(media.resolve() / "deep" / "a b.mp4")
        assert str(tmp_path) not in address.shown
    for url in ("../outside.mp4", "/etc/passwd", "link.mp4", "deep/../../outside.mp4", "%2e%2e/outside.mp4"):
        with pytest.raises(Refused) as refused:
            policy.check(url)
        assert refused.value.code == "path_not_allowed"
    with pytest.raises(Refused) as refused:
        policy.check("missing.mp4")
    assert refused.value.code == "not_found"
    assert str(tmp_path) not in refused.value.detail


def test_file_on_another_host_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        UrlPolicy(frozenset(), tmp_path).check("file://server/a.mp4")
    assert refused.value.code == "invalid_url"
