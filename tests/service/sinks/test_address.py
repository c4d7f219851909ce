"""SinkAddress: what a URL says, what is refused, and that the password never shows."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_settings import SettingsError

from service.configuration import gather
from service.settings import Settings
from service.sinks.address import SCHEMES, SinkAddress
from service.sinks.sinks import open_sink
from service.tracks.views import View

secrets = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=6).map(lambda text: f"q{text}Z")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_host_alone_is_enough(scheme: str) -> None:
    address = SinkAddress.parse(f"{scheme}://broker.local")
    assert (address.kind, address.tls) == (SCHEMES[scheme].kind, SCHEMES[scheme].tls)
    assert (address.host, address.port, address.prefix) == ("broker.local", SCHEMES[scheme].port, "atttrack")
    assert (address.username, address.password, address.view) == (None, None, View())
    assert open_sink(f"{scheme}://broker.local").address == address


def test_options_are_read() -> None:
    url = "mqtt://u%40b:p%3A%2F@[::1]:99?prefix=site/1&zones=a,b&fields=id,events&max_rate=2.5&qos=1&classes=car"
    address = SinkAddress.parse(url)
    assert (address.host, address.port, address.username, address.password) == ("::1", 99, "u@b", "p:/")
    assert address.prefix == "site/1"
    assert address.view == View(frozenset("ab"), frozenset({"id", "events"}), 2.5, frozenset({"car"}))
    assert address.number("qos", 0, 1) == 1


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("", "unknown scheme"),
        ("amqp://broker", "mqtt, mqtts, redis"),
        ("kafka://broker?prefix=site/1", "prefix"),
        ("kafka://broker?sasl=gssapi", "sasl"),
        ("mqtt://", "host"),
        ("mqtt://broker/topic", "no path"),
        ("mqtt://broker:port", "not a URL"),
        ("mqtt://broker:99999", "not a URL"),
        ("mqtt://broker?quos=1", "'quos'; known: classes, fields, max_rate, prefix, qos, zones"),
        ("mqtt://broker?qos=2", "from 0 to 1"),
        ("mqtt://broker?prefix=a%23", "prefix"),
        ("mqtt://broker?prefix=", "prefix"),
        ("nats://broker?qos=1", "'qos'"),
        ("redis://broker?db=-1", "db"),
        ("redis://broker?fields=boxes", "boxes"),
        ("redis://broker?max_rate=0", "max_rate"),
        ("redis://broker?max_rate=nan", "max_rate"),
        ("redis://broker?max_rate=fast", "fast"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_reason(url: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint.replace("?", r"\?")):
        open_sink(url)


def test_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.sinks.address.find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"pip install '\.\[nats\]'"):
        open_sink("nats://broker")


@given(
    secrets, st.sampled_from(sorted(SCHEMES)), st.sampled_from(["", ":x", "/path", "?nonsense=1", "?qos=9", "?db=x"])
)
def test_password_never_shows(secret: str, scheme: str, end: str) -> None:
    try:
        address = open_sink(f"{scheme}://user:{quote(secret, safe='')}@broker{end}").address
    except ValueError as error:
        shown = str(error)
    else:
        assert address.password == secret
        shown = f"{address!r} {address} {address.redacted(f'refused {secret} today')}"
    assert secret not in shown
    assert quote(secret, safe="") not in shown


def test_settings_take_several_with_lists_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    urls = ["mqtt://a:b@broker?zones=door,hall", "nats+tls://other"]
    monkeypatch.setenv("ATTTRACK_SINKS", ",".join(urls))
    settings = Settings()
    assert [url.get_secret_value() for url in settings.sinks] == urls
    assert "a:b" not in repr(settings)


def test_settings_refuse_a_bad_sink_without_repeating_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTTRACK_SINKS", "mqtt://user:sesame@broker?nonsense=1")
    with pytest.raises(SettingsError, match=r"sinks: .*no option 'nonsense'") as refused:
        gather([])
    assert "sesame" not in str(refused.value)
