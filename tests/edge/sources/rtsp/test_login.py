"""Logins. Oracle: the examples of RFC 2617 and RFC 7616, and the formulas written down again."""

import base64
import hashlib
import re

import pytest

from edge.sources.rtsp.login import Login, challenges

REALM, NONCE = 'IP "Camera", (A1)', "abc/def=="
HASHES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def digest(algorithm: str | None, more: str = "") -> str:
    named = f", algorithm={algorithm}" if algorithm else ""
    return f"Digest realm={quoted(REALM)}, nonce={quoted(NONCE)}{named}{more}"


def fields_of(header: str) -> dict[str, str]:
    pairs = re.findall(r'([\w-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]*))', header)
    return {name: re.sub(r"\\(.)", r"\1", one) if one or not other else other for name, one, other in pairs}


def is_right(header: str, method: str, username: str, password: str) -> bool:
    """As a camera reckons."""
    one = fields_of(header)
    algorithm = one.get("algorithm", "MD5")

    def hashed(text: str) -> str:
        return hashlib.new(HASHES[algorithm.upper().removesuffix("-SESS")], text.encode()).hexdigest()

    secret = hashed(f"{username}:{REALM}:{password}")
    if algorithm.lower().endswith("-sess"):
        secret = hashed(f"{secret}:{NONCE}:{one['cnonce']}")
    middle = f"{one['nc']}:{one['cnonce']}:{one['qop']}:" if "qop" in one else ""
    expected = hashed(f"{secret}:{NONCE}:{middle}{hashed(f'{method}:' + one['uri'])}")
    return one["response"] == expected and one["username"] == username and one["realm"] == REALM


def test_nobody_is_told_anything_before_a_camera_asks() -> None:
    assert Login("me", "secret").header("DESCRIBE", "rtsp://camera/x") is None
    assert not Login(None, None).challenged([digest("MD5")])
    assert not Login("me", "secret").challenged([])


def test_the_example_of_rfc_2617() -> None:
    login = Login("Mufasa", "Circle Of Life")
    nonce, opaque = "dcd98b7102dd2f0e8b11d0f600bfb0c093", "5ccc069c403ebaf9f0171e9517f40e41"
    asked = f'Digest realm="testrealm@host.com", nonce="{nonce}", opaque="{opaque}"'
    assert login.challenged([asked])
    fields = fields_of(login.header("GET", "/dir/index.html") or "")
    assert fields["response"] == "670fd8c2df070c60b045671b8b24ff02"
    assert fields["opaque"] == "5ccc069c403ebaf9f0171e9517f40e41"


@pytest.mark.parametrize("algorithm", [None, "MD5", "md5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256"])
@pytest.mark.parametrize("qop", ["", ', qop="auth"', ", qop=auth", ', qop="auth-int,auth"', ', qop=""'])
@pytest.mark.parametrize("password", ["secret", 'p@ss:w%rd "1"', "größer", ""])
def test_cameras_reckon_the_same(algorithm: str | None, qop: str, password: str) -> None:
    login = Login("admin", password)
    assert login.challenged([digest(algorithm, qop)])
    for method in ("DESCRIBE", "SETUP", "PLAY"):
        assert is_right(login.header(method, f"rtsp://camera/{method}") or "", method, "admin", password)
    counts = [fields_of(login.header("PLAY", "x") or "").get("nc") for _ in range(2)]
    assert counts[0] is None or counts[0] != counts[1]


def test_basic_is_said_where_nothing_better_is_asked_for() -> None:
    login = Login("admin", "größer:1")
    assert login.challenged(['Basic realm="x"'])
    assert login.header("PLAY", "x") == "Basic " + base64.b64encode("admin:größer:1".encode()).decode()


@pytest.mark.parametrize(
    "asked",
    [
        ['Basic realm="x"', digest("MD5"), digest("SHA-256")],
        [digest("SHA-256"), digest(None), 'Basic realm="x"'],
        [f'Basic realm="Digest, basic", {digest("MD5")}, {digest("SHA-256", ", qop=auth")}'],
        [digest("ROT13"), digest("SHA-256"), "Negotiate", "Bearer realm=x"],
    ],
)
def test_of_several_challenges_the_safest_known_one_is_answered(asked: list[str]) -> None:
    login = Login("admin", "secret")
    assert login.challenged(asked)
    assert "algorithm=SHA-256" in (login.header("PLAY", "x") or "")


def test_what_we_do_not_know_is_not_answered() -> None:
    assert not Login("admin", "secret").challenged([digest("ROT13"), "Negotiate", digest("MD5", ', qop="auth-int"')])


def test_a_refusal_is_answered_by_the_next_best_way_and_then_no_more() -> None:
    """Cameras lock out whoever guesses."""
    login, asked = Login("admin", "wrong"), [digest("SHA-256"), digest("MD5"), 'Basic realm="x"']
    assert login.challenged(asked) and "SHA-256" in (login.header("PLAY", "x") or "")
    assert login.challenged(asked) and "algorithm=MD5" in (login.header("PLAY", "x") or "")
    assert not login.challenged(asked)
    assert Login("admin", "wrong").challenged(asked[1:2])


def test_a_stale_nonce_is_replaced_a_few_times() -> None:
    login = Login("admin", "secret")
    assert login.challenged([digest("MD5")])
    for number in range(3):
        assert login.challenged([f'Digest realm="x", nonce="n{number}", stale=TRUE'])
        assert f'nonce="n{number}"' in (login.header("PLAY", "x") or "")
    assert not login.challenged(['Digest realm="x", nonce="n9", stale=true'])


@pytest.mark.parametrize(
    "text", ["", "Digest", "digest realm", "Basic", ",,,", 'Digest nonce="', "Digest =,=", "\xff\0"]
)
def test_broken_challenges_are_none_or_harmless(text: str) -> None:
    challenges([text])
    Login("admin", "secret").challenged([text])
