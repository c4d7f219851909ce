"""The timeline of the page in a real browser: people over time, what happened, its pictures, and CSV."""

import csv
import io

import pytest

from tests.service.page.conftest import Page

HALL = {"id": "hall", "name": "<b>Hall</b>", "type": "polygon", "points": [[0, 0], [0.45, 0], [0.45, 1], [0, 1]]}
MISSING = """
    const { themed } = await import('./static/theme.js');
    await new Promise((later) => setTimeout(later, 1000));
    const chart = document.getElementById('history-chart'), seen = new Set();
    const { data } = chart.getContext('2d').getImageData(0, 0, chart.width, chart.height);
    for (let i = 0; i < data.length; i += 4) if (data[i + 3] === 255) seen.add(data.slice(i, i + 3).join());
    const parts = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)).join();
    return ['teacher', 'student', 'zone', 'line'].filter((name) => !seen.has(parts(themed(name))));"""
"""Colours that are not to be found in the chart."""


@pytest.fixture
def hall(watched: Page) -> Page:
    """With a zone over the left of the picture, where one stands and another comes in."""
    with watched.service.http as http:
        http.patch("/streams/door", json={"zones": [HALL], "stills_days": 1})
    watched.wait_text("events", "entered")
    return watched


def test_stream_without_zones_says_how_events_come_about(watched: Page) -> None:
    watched.wait_shown("events-none")
    assert "Draw an area or a line" in watched.text("events-none")
    watched.wait("document.getElementById('history-chart').ariaLabel.includes('on average')", 30)
    label = watched.browser.value("document.getElementById('history-chart').ariaLabel")
    assert "0 events; the teacher saw" in label and "0 % were predicted" in label


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_chart_is_painted_in_both_themes(hall: Page, scheme: str) -> None:
    hall.browser.prefer(scheme)
    hall.wait("document.getElementById('history-chart').ariaLabel.includes('on average')", 30)
    assert hall.run(MISSING) == []


def test_what_is_under_the_pointer_is_told(hall: Page) -> None:
    hall.wait("document.getElementById('history-chart').ariaLabel.includes('on average')", 30)
    hall.run("""const chart = document.getElementById('history-chart'), box = chart.getBoundingClientRect();
        for (let x = box.right - 60; x < box.right; x++)
            if (!document.getElementById('history-readout').textContent.includes('people, at most'))
                chart.dispatchEvent(new PointerEvent('pointermove', { clientX: x, clientY: box.top + 20 }));""")
    hall.wait_shown("history-readout")
    assert "people, at most" in hall.text("history-readout")


def test_events_are_listed_newest_first_with_their_pictures(hall: Page) -> None:
    assert "entered <b>Hall</b>" in hall.text("events")
    hall.run("document.getElementById('events').scrollIntoView()")
    hall.wait("document.querySelectorAll('.event-still img:not([hidden])').length > 1")
    times = hall.browser.value("[...document.querySelectorAll('#events time')].map((time) => time.dateTime)")
    assert times == sorted(times, reverse=True)
    hall.wait("document.querySelectorAll('#events li').length > 3")
    hall.browser.value("document.querySelector('.event-still button').focus()")
    hall.browser.press("Enter")
    hall.wait("document.getElementById('still-dialog').open")
    hall.wait("document.getElementById('still-image').naturalWidth === 640")
    first = hall.text("still-title")
    hall.browser.press("ArrowLeft")
    hall.wait(f"document.getElementById('still-title').textContent !== {first!r}")
    assert hall.text("stream-name") == "Front door"  # the arrows are the dialog's while it is open
    hall.browser.press("ArrowRight")
    hall.wait_text("still-title", first)
    hall.browser.press("Escape")
    hall.wait("!document.getElementById('still-dialog').open")
    hall.wait_shown("watch")


def test_pictures_are_kept_only_when_the_person_wants_them(watched: Page) -> None:
    assert watched.browser.value("document.getElementById('stills').value") == "0"
    watched.run("const s = document.getElementById('stills'); s.value = '7'; s.dispatchEvent(new Event('change'))")
    watched.wait("document.getElementById('controls-problem').textContent === ''")
    with watched.service.http as http:
        http.patch("/streams/door", json={"zones": [HALL]})
    watched.wait("document.querySelector('.event-still button')")
    assert watched.stream()["stills_days"] == 7
    with watched.service.http as http:
        http.patch("/streams/door", json={"stills_days": 2.5})
    watched.run("document.activeElement.blur()")
    watched.wait("document.getElementById('stills').selectedOptions[0].textContent === '2.5 days'")


@pytest.mark.parametrize(("what", "column"), [("events", "zone_name"), ("counts", "people_mean")])
def test_csv_is_saved_under_the_name_of_the_stream(hall: Page, what: str, column: str) -> None:
    hall.wait("document.getElementById('history-chart').ariaLabel.includes('on average')", 30)
    name, text = hall.run(f"""const saved = new Promise((done) => {{
            let text; URL.createObjectURL = (blob) => {{ text = blob.text(); return 'about:blank#saved'; }};
            HTMLAnchorElement.prototype.click = function () {{ text.then((t) => done([this.download, t])); }}; }});
        document.getElementById('export-{what}').click();
        return await saved;""")
    assert name == f"door-{what}.csv"
    rows = list(csv.DictReader(io.StringIO(text)))
    assert rows and rows[-1][column]


def test_timeline_that_cannot_be_read_is_said_and_the_rest_goes_on(watched: Page) -> None:
    watched.run("""const real = window.fetch;
        const said = JSON.stringify({ code: 'timeline_failed', detail: 'the timeline cannot be read now' });
        window.fetch = (path, options) => String(path).includes('/timeline')
            ? Promise.resolve(new Response(said, { status: 503 })) : real(path, options);
        document.getElementById('history-span').dispatchEvent(new Event('change'));""")
    watched.wait_text("history-problem", "cannot be read now")
    watched.wait_text("people", "3")
