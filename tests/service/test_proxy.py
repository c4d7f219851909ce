"""The service behind somebody else's path and port."""

import re

import pytest

from service.auth.browser import _is_own
from service.proxy import is_prefix
from service.settings import Settings
from tests.service.conftest import RunningService


@pytest.mark.parametrize("path", ["/cams", "/site/cams", "/a.b/c-d_e~f"])
def test_paths_are_prefixes(path: str) -> None:
    assert is_prefix(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "cams",
        "/cams/",
        "//evil.example",
        "/a//b",
        '/"><script>',
        "/a b",
        "/a?b",
        "/a#b",
        "/..",
        "/a/../b",
        "/é",
        "/" + "x" * 300,
    ],
)
def test_all_else_is_none(path: str) -> None:
    assert not is_prefix(path)
    if path not in ("", "/", "/cams/"):
        with pytest.raises(ValueError, match="root path"):
            Settings(root_path=path)


def test_a_setting_may_end_in_a_slash() -> None:
    assert Settings(root_path="/cams/").root_path == "/cams"


@pytest.mark.parametrize("prefix", ["/cams", "/site/cams"])
@pytest.mark.parametrize("stripped", [True, False])
def test_all_that_the_docs_ask_for_lies_below_the_prefix_and_is_there(
    service: RunningService, prefix: str, stripped: bool
) -> None:
    headers, before = {"X-Forwarded-Prefix": prefix + "/"}, "" if stripped else prefix
    with service.http as client:
        page = client.get(f"{before}/docs", headers=headers)
        assert page.status_code == 200
        asked = re.findall(r"""(?:src=|href=|url:\s*)["']([^"'#]+)["']""", page.text)
        assert len(asked) >= 3
        for address in asked:
            assert address.startswith(prefix + "/")
            reached = address.removeprefix(prefix) if stripped else address
            assert client.get(reached, headers=headers).status_code == 200
        described = client.get(f"{before}/openapi.json", headers=headers).json()
        assert described["servers"][0]["url"] == prefix
        assert client.get(f"{before}/", headers=headers).status_code == 200
        assert client.get(f"{before}/streams", headers=headers).status_code == 200


def test_a_prefix_that_is_none_changes_nothing(service: RunningService) -> None:
    with service.http as client:
        plain = client.get("/docs").text
        for prefix in ("//evil.example", '/"><script>alert(1)</script>', "javascript:alert(1)", ""):
            assert client.get("/docs", headers={"X-Forwarded-Prefix": prefix}).text == plain


def test_the_page_asks_for_nothing_at_the_root(service: RunningService) -> None:
    with service.http as client:
        page = client.get("/").text
    asked = re.findall(r"""(?:src|href)=["']([^"'#]+)["']""", page)
    assert asked and not [address for address in asked if address.startswith("/")]


@pytest.mark.parametrize(
    ("host", "origin", "own"),
    [
        ("cams.example.org", "https://cams.example.org", True),
        ("cams.example.org", "http://cams.example.org", True),
        ("cams.example.org:443", "https://cams.example.org", True),
        ("cams.example.org:80", "http://cams.example.org", True),
        ("Cams.Example.org:443", "https://cams.example.org", True),
        ("cams.example.org:8443", "https://cams.example.org:8443", True),
        ("[::1]:443", "https://[::1]", True),
        ("cams.example.org", "https://cams.example.org:443", True),
        ("cams.example.org:443", "http://cams.example.org", False),
        ("cams.example.org:80", "https://cams.example.org", False),
        ("cams.example.org:8443", "https://cams.example.org", False),
        ("cams.example.org", "https://cams.example.org:8443", False),
        ("cams.example.org:443", "https://evil.example", False),
        ("cams.example.org", "https://cams.example.org.evil.example", False),
        ("cams.example.org", "https://cams.example.org@evil.example", False),
        ("cams.example.org", "ftp://cams.example.org", False),
        ("cams.example.org", "null", False),
        ("cams.example.org", "", False),
        ("", "https://", False),
        ("cams.example.org:99999", "https://cams.example.org", False),
        ("[::1", "https://[::1", False),
    ],
)
def test_an_origin_is_our_own_where_host_and_port_are_the_ones_asked_for(host: str, origin: str, own: bool) -> None:
    assert _is_own(origin, host) is own
