"""SinkAddress: the URL of a broker, taken apart and checked; its password never shows."""

import re
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Self
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from service.tracks.views import View


@dataclass(frozen=True, slots=True)
class _Scheme:
    """What a kind of broker needs."""

    kind: str
    port: int
    tls: bool
    module: str
    options: frozenset[str] = frozenset()


SCHEMES = {
    "mqtt": _Scheme("mqtt", 1883, False, "aiomqtt", frozenset({"qos"})),
    "mqtts": _Scheme("mqtt", 8883, True, "aiomqtt", frozenset({"qos"})),
    "redis": _Scheme("redis", 6379, False, "redis", frozenset({"db", "keep"})),
    "rediss": _Scheme("redis", 6379, True, "redis", frozenset({"db", "keep"})),
    "nats": _Scheme("nats", 4222, False, "nats"),
    "nats+tls": _Scheme("nats", 4222, True, "nats"),
    "kafka": _Scheme("kafka", 9092, False, "aiokafka", frozenset({"sasl"})),
    "kafka+tls": _Scheme("kafka", 9093, True, "aiokafka", frozenset({"sasl"})),
}
_COMMON_OPTIONS = frozenset({"prefix", "zones", "fields", "max_rate", "classes"})
_PREFIX = re.compile(r"[A-Za-z0-9_-]+([/.:][A-Za-z0-9_-]+)*")
_HOW = "expected such as mqtt://user:password@broker.local:1883?prefix=site1"


@dataclass(frozen=True, slots=True)
class SinkAddress:
    """Where to connect and what to send."""

    kind: str
    """mqtt, redis, nats or kafka."""
    host: str
    port: int
    tls: bool
    username: str | None
    password: str | None = field(repr=False)
    prefix: str
    """First part of every topic, key or subject."""
    view: View
    options: dict[str, str]
    """Those that only this kind knows."""
    shown: str
    """For people and logs: without user, password and options."""

    @classmethod
    def parse(cls, url: str) -> Self:
        """Return the parts of `url`. Raises ValueError, whose message never has the password."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ValueError(f"a sink is not a URL; {_HOW}") from None
        scheme = SCHEMES.get(parts.scheme)
        if scheme is None:
            raise ValueError(f"a sink has an unknown scheme; one of {', '.join(SCHEMES)} is needed; {_HOW}")
        if not parts.hostname or parts.path not in ("", "/") or parts.fragment:
            raise ValueError(f"a {scheme.kind} sink must have a host and no path; {_HOW}")
        if find_spec(scheme.module) is None:
            raise ValueError(
                f"a {scheme.kind} sink needs a library: pip install '.[{scheme.kind}]' in the project's folder"
            )
        options = _options(parts, scheme)
        prefix = options.pop("prefix", "atttrack")
        if not _PREFIX.fullmatch(prefix):
            raise ValueError(
                f"prefix of a {scheme.kind} sink may have letters, digits, '_', '-', '/', '.' and ':' only"
            )
        rate = options.pop("max_rate", None)
        return cls(
            kind=scheme.kind,
            host=parts.hostname,
            port=port or scheme.port,
            tls=scheme.tls,
            username=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
            prefix=prefix,
            view=View.parse(
                options.pop("zones", None),
                options.pop("fields", None),
                None if rate is None else float(rate),
                options.pop("classes", None),
            ),
            options=options,
            shown=f"{parts.scheme}://{parts.hostname}:{port or scheme.port}",
        )

    def number(self, option: str, default: int, most: int) -> int:
        """A whole number from 0 to `most` among the options. Raises ValueError."""
        text = self.options.get(option, str(default))
        if not text.isdecimal() or int(text) > most:
            raise ValueError(f"{option} of a {self.kind} sink must be a whole number from 0 to {most}")
        return int(text)

    def redacted(self, text: str) -> str:
        """Return `text` without the password."""
        return text.replace(self.password, "***") if self.password else text


def _options(parts: SplitResult, scheme: _Scheme) -> dict[str, str]:
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    known = _COMMON_OPTIONS | scheme.options
    if unknown := sorted(options.keys() - known):
        raise ValueError(f"a {scheme.kind} sink has no option {unknown[0]!r}; known: {', '.join(sorted(known))}")
    return options
