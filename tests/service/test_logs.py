"""Log lines: shape, times in UTC, repeats and secrets."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.logs import BURST, WINDOW_S, JsonFormatter, RepeatLimitingHandler, TextFormatter, configure_logs, redacted

SECRET = "correct-horse"  # noqa: S105


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    """What a handler wrote; the root logger is as before afterwards."""
    root = logging.getLogger()
    before = root.level, root.handlers[:]
    yield io.StringIO()
    for handler in root.handlers[:]:
        root.removeHandler(handler)
    for handler in before[1]:
        root.addHandler(handler)
    root.setLevel(before[0])
    logging.captureWarnings(False)


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def record(message: str, at_s: float = 0.0, **fields: object) -> logging.LogRecord:
    return logging.makeLogRecord({"name": "here", "levelno": 20, "msg": message, "created": 1e9 + at_s, **fields})


def test_nothing_logged_is_nothing_written(out: io.StringIO) -> None:
    configure_logs("info", "json", out)
    logging.getLogger("quiet").debug("below the level")
    assert out.getvalue() == ""


def test_a_json_line_has_time_in_utc_and_the_fields_of_the_call(out: io.StringIO) -> None:
    configure_logs("info", None, out)  # no terminal: JSON
    logging.getLogger("service.x").info("stream %s added", "a", extra={"event": "stream_added", "stream_id": "a"})
    (line,) = lines(out)
    assert datetime.fromisoformat(line.pop("time")).utcoffset() == timedelta(0)
    assert line == {
        "level": "info",
        "logger": "service.x",
        "event": "stream_added",
        "message": "stream a added",
        "stream_id": "a",
    }


def test_an_exception_stays_in_its_line(out: io.StringIO) -> None:
    configure_logs("info", "json", out)
    try:
        raise ValueError(f"cannot open rtsp://viewer:{SECRET}@camera/live")
    except ValueError:
        logging.getLogger("x").exception("broke")
    (line,) = lines(out)
    assert "Traceback" in line["exception"]
    assert SECRET not in out.getvalue()
    assert "rtsp://***@camera/live" in line["exception"]


def test_a_text_line_says_the_same_to_people() -> None:
    assert TextFormatter().format(record("ready", levelname="INFO", msecs=0)) == "01:46:40.000 INFO    here: ready"


@pytest.mark.parametrize(
    "text",
    [
        f"rtsp://viewer:{SECRET}@10.0.0.1:554/live",
        f"rtsp://viewer:{SECRET}@x@10.0.0.1/live",
        f"rtsp://{SECRET}@10.0.0.1/live",
        f"Authorization: Bearer {SECRET}",
        f"GET /streams/a/tracks?ticket={SECRET}&x=1",
        f"http://cam/snap?user=u&password={SECRET}",
        f"api_key={SECRET}",
        f"rtsp://cam/live?p={SECRET}&%74oken={SECRET}&psk={SECRET};jwt={SECRET}",
        f"rtsp://{SECRET}@cam/live?channel={SECRET}",
        f"rtsp://user:a/{SECRET}@cam/live".replace("a/", "a"),
        f"GET /streams/door/tracks?x={SECRET} HTTP/1.1",
    ],
)
@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_no_secret_leaves_in_any_place_of_a_line(text: str, formatter: logging.Formatter) -> None:
    for one in (record(text), record("message", camera=text), record("message", several=[text])):
        assert SECRET not in formatter.format(one)


@pytest.mark.parametrize("text", ["", "rtsp://10.0.0.1/a@b", "ready", "people@example.org", "monkey=banana"])
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text) == text


@given(st.text())
def test_every_message_makes_one_line_of_json(message: str) -> None:
    line = JsonFormatter().format(record("%s", args=(message,)))
    assert "\n" not in line
    json.loads(line)


@pytest.fixture
def emit(out: io.StringIO) -> Callable[..., None]:
    handler = RepeatLimitingHandler(out)
    handler.setFormatter(JsonFormatter())

    def emit(message: str, at_s: float) -> None:
        handler.handle(record(message, at_s))

    emit.close = handler.close  # type: ignore[attr-defined]
    return emit


def test_repeats_are_held_back_and_counted(out: io.StringIO, emit: Callable[..., None]) -> None:
    for number in range(100):
        emit("no route to camera", number / 100)
    assert len(lines(out)) == BURST
    emit("no route to camera", WINDOW_S + 1)
    assert [line.get("suppressed_count") for line in lines(out)][BURST:] == [100 - BURST - 1, None]


def test_the_count_is_told_also_when_the_line_never_comes_again(out: io.StringIO, emit: Callable[..., None]) -> None:
    for number in range(BURST + 7):
        emit("no route to camera", number / 100)
    emit("something else", WINDOW_S + 1)
    messages = [(line["message"], line.get("suppressed_count")) for line in lines(out)]
    assert messages[BURST:] == [("no route to camera", 6), ("something else", None)]


def test_the_count_is_told_at_the_end(out: io.StringIO, emit: Callable[..., None]) -> None:
    for number in range(BURST + 2):
        emit("no route to camera", number / 100)
    emit.close()  # type: ignore[attr-defined]
    assert lines(out)[-1]["suppressed_count"] == 1


def test_different_lines_do_not_hold_each_other_back(out: io.StringIO, emit: Callable[..., None]) -> None:
    for number in range(3000):
        emit(f"frame {number}", 0.0)
    assert len(lines(out)) == 3000
