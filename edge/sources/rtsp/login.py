"""`Login`: what a camera is told that asks who is there: Digest (RFC 7616, RFC 2069 before it) or Basic (RFC 7617)."""

import base64
import hashlib
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

HASHES: dict[str, Callable[[bytes], str]] = {
    "sha-512-256": lambda data: hashlib.new("sha512_256", data).hexdigest(),
    "sha-256": lambda data: hashlib.sha256(data).hexdigest(),
    "md5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
}
"""Strongest first. Each may come with -sess behind its name."""
MOST_TRIES = 2
"""Answers to challenges that say nothing of a stale nonce: cameras lock out whoever guesses."""
MOST_STALE = 3
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_SCHEME = re.compile(r"(?i)(?:^|,)\s*(digest|basic)(?=\s|$)")
_FIELD = re.compile(r'([A-Za-z][\w-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))')


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way in which a camera lets its viewers say who they are."""

    scheme: str
    """digest or basic."""
    fields: dict[str, str]
    """By names in lower case."""

    @property
    def algorithm(self) -> str:
        """In lower case; MD5 where none is named."""
        return self.fields.get("algorithm", "MD5").lower()

    @property
    def rank(self) -> int:
        """The smaller the safer."""
        if self.scheme == "basic":
            return len(HASHES)
        return list(HASHES).index(self.algorithm.removesuffix("-sess"))

    @property
    def known(self) -> bool:
        """Whether we can answer it."""
        if self.scheme == "basic":
            return True
        qop = self.fields.get("qop")
        plain = qop is None or not qop.strip() or "auth" in [one.strip().lower() for one in qop.split(",")]
        return self.algorithm.removesuffix("-sess") in HASHES and plain and "nonce" in self.fields


def challenges(headers: Sequence[str]) -> list[Challenge]:
    """The challenges in the values of WWW-Authenticate: cameras send several lines, or several in one."""
    found = []
    for value in headers:
        masked = _QUOTED.sub(lambda quoted: "x" * len(quoted[0]), value)
        begins = [*_SCHEME.finditer(masked)]
        ends = [one.start() for one in begins[1:]] + [len(value)] * bool(begins)
        for begin, end in zip(begins, ends, strict=True):
            text = value[begin.end() : end]
            fields = {
                one[1].lower(): re.sub(r"\\(.)", r"\1", one[2]) if one[3] is None else one[3]
                for one in _FIELD.finditer(text)
            }
            found.append(Challenge(begin[1].lower(), fields))
    return found


class Login:
    """One viewer at one camera."""

    def __init__(self, username: str | None, password: str | None) -> None:
        self._username, self._password = username, password or ""
        self._challenge: Challenge | None = None
        self._tried: set[tuple[str, str]] = set()
        self._stale = 0
        self._count = 0

    def __bool__(self) -> bool:
        """Whether there are credentials."""
        return self._username is not None

    def challenged(self, headers: Sequence[str]) -> bool:
        """Take a refusal's challenges; whether it is worth while to ask again."""
        offered = sorted((one for one in challenges(headers) if one.known), key=lambda one: one.rank)
        if self._username is None or not offered:
            return False
        stale = [one for one in offered if one.fields.get("stale", "").lower() == "true"]
        if stale and self._challenge is not None and self._stale < MOST_STALE:
            self._stale += 1
            self._take(stale[0])
            return True
        for one in offered:
            if (one.scheme, one.algorithm) not in self._tried and len(self._tried) < MOST_TRIES:
                self._tried.add((one.scheme, one.algorithm))
                self._take(one)
                return True
        return False

    def let_in(self) -> None:
        """What was told is right: a later refusal begins anew."""
        if self._challenge is not None:
            self._tried = {(self._challenge.scheme, self._challenge.algorithm)}

    def header(self, method: str, uri: str) -> str | None:
        """The value of Authorization for a request; None before the camera has asked."""
        if self._challenge is None or self._username is None:
            return None
        if self._challenge.scheme == "basic":
            return "Basic " + base64.b64encode(f"{self._username}:{self._password}".encode()).decode()
        return self._digest(self._challenge, method, uri)

    def _take(self, challenge: Challenge) -> None:
        self._challenge, self._count = challenge, 0

    def _digest(self, challenge: Challenge, method: str, uri: str) -> str:
        def hashed(*parts: str) -> str:
            return HASHES[challenge.algorithm.removesuffix("-sess")](":".join(parts).encode())

        realm, nonce = challenge.fields.get("realm", ""), challenge.fields["nonce"]
        self._count += 1
        count, own = f"{self._count:08x}", secrets.token_hex(8)
        secret = hashed(self._username or "", realm, self._password)
        if challenge.algorithm.endswith("-sess"):
            secret = hashed(secret, nonce, own)
        given = {"username": self._username or "", "realm": realm, "nonce": nonce, "uri": uri}
        if challenge.fields.get("qop", "").strip():
            middle = [nonce, count, own, "auth"]
            more = f', qop=auth, nc={count}, cnonce="{own}"'
        else:
            middle = [nonce]
            more = f', cnonce="{own}"' if challenge.algorithm.endswith("-sess") else ""
        given["response"] = hashed(secret, *middle, hashed(method, uri))
        if "opaque" in challenge.fields:
            given["opaque"] = challenge.fields["opaque"]
        text = ", ".join(f'{name}="{_escaped(value)}"' for name, value in given.items())
        if "algorithm" in challenge.fields:
            text += f", algorithm={challenge.fields['algorithm']}"
        return f"Digest {text}{more}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
