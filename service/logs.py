"""Logs: one event per line, as JSON for machines or as text for people; repeats are held back, secrets never pass.

A call gives its fields by `extra`: log.info("stream %s added", id, extra=fields("stream_added", stream_id=id)).
"""

import json
import logging
import re
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Literal

LogFormat = Literal["json", "text"]
BURST = 5
"""Equal lines that pass within `WINDOW_S` seconds; the others are counted."""
WINDOW_S = 10.0
MOST_KEYS = 1000
"""Different lines that are remembered."""

_OWN_FIELDS = {*vars(logging.makeLogRecord({})), "message", "asctime", "color_message", "suppressed_count"}
_SECRETS = (
    (re.compile(r"(?<=://)[^\s/'\"]*@"), "***@"),  # user and password of a URL, whatever they have in them
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w~+/.=-]+"), r"\1 ***"),
    (re.compile(r"(?<=[?&;])([^\s=&;'\"]+)=[^\s&;'\"]+"), r"\1=***"),  # every value of a query
    (
        re.compile(
            r"(?i)(?<![a-z0-9])((?:api_?key|key|pass(?:word|wd)?|pwd|psk|secret|ticket|token|jwt|auth|sig|signature)=)[^\s&'\"]+"
        ),
        r"\1***",
    ),
)


def redacted(text: str) -> str:
    """Return `text` without users and passwords of URLs, credentials of headers and values of queries.

    The last line of defence: whoever logs an address should use `Address.shown` in the first place.
    """
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


def fields(event: str, **more: object) -> dict[str, object]:
    """Return the `extra` of a call: the stable name of what happened, and what it happened to."""
    return {"event": event, **more}


def configure_logs(level: str, log_format: LogFormat | None, out: IO[str] | None = None) -> None:
    """Send all that is logged to `out` (standard error). Without a format: text on a terminal, JSON elsewhere."""
    stream = out or sys.stderr
    chosen = log_format or ("text" if stream.isatty() else "json")
    handler = RepeatLimitingHandler(stream)
    handler.setFormatter(JsonFormatter() if chosen == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for talkative in ("uvicorn.error", "websockets"):  # whose debug lines have every word that a client says
        logging.getLogger(talkative).setLevel(max(logging.INFO, logging.getLevelName(level.upper())))
    logging.captureWarnings(True)


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time (UTC), level, logger, event, message, and the fields of the call."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": getattr(record, "event", None) or "log",
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _OWN_FIELDS}
        if count := suppressed(record):
            line["suppressed_count"] = count
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps({name: _plain(value) for name, value in line.items()}, ensure_ascii=False)


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, bool | int | float) else redacted(str(value))


class TextFormatter(logging.Formatter):
    """Time (UTC), level and message, for a terminal."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%H:%M:%S"
    default_msec_format = "%s.%03d"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, or the lines where there is a traceback."""
        count = suppressed(record)
        return redacted(super().format(record) + (f" ({count} more like this were suppressed)" if count else ""))


def suppressed(record: logging.LogRecord) -> int:
    """Return how many lines like this one were held back since the last that passed."""
    return int(getattr(record, "suppressed_count", 0))


@dataclass(slots=True)
class _Repeats:
    since_s: float
    passed: int = 0
    held_back: logging.LogRecord | None = None
    count: int = 0


class RepeatLimitingHandler(logging.StreamHandler[IO[str]]):
    """Lets `BURST` equal lines pass in `WINDOW_S` seconds and tells with the next one, or a later line, how many more
    there were."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(stream)
        self._seen: dict[tuple[str, int, str], _Repeats] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, or count it. Called with the handler's lock held."""
        now = record.created
        self._tell_of_the_old(now)
        key = (record.name, record.levelno, record.getMessage())
        repeats = self._seen.setdefault(key, _Repeats(now))
        if repeats.passed < BURST:
            repeats.passed += 1
            super().emit(record)
        else:
            repeats.held_back = record
            repeats.count += 1

    def close(self) -> None:
        """Tell of what is held back, and end."""
        self._tell_of_the_old(float("inf"))
        super().close()

    def _tell_of_the_old(self, now: float) -> None:
        """Windows close oldest first, since that is the order in which they were opened."""
        while self._seen:
            key, repeats = next(iter(self._seen.items()))
            if now - repeats.since_s < WINDOW_S and len(self._seen) < MOST_KEYS:
                return
            del self._seen[key]
            if repeats.held_back is not None:
                repeats.held_back.suppressed_count = repeats.count - 1  # it passes itself
                super().emit(repeats.held_back)
