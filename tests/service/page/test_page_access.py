"""The page for everybody: names for screen readers, contrast, keyboard, small screens."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.service.page.conftest import Page

CONTROLS = {"button", "link", "textbox", "combobox", "slider", "spinbutton", "image", "img", "Canvas", "dialog"}
ZONE = {"id": "hall", "name": "Hall", "type": "polygon", "points": [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]}

FOCUSED = """(() => {
  const at = document.activeElement;
  return [at.id || at.textContent.trim(), getComputedStyle(at).outlineStyle];
})()"""
"""Asked at once: the list is drawn anew each second."""

CONTRAST = """(() => {
  const parse = (colour) => (colour.match(/[\\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
  const over = ([r, g, b, a = 1], under) => [r, g, b].map((part, i) => part * a + under[i] * (1 - a));
  const ground = (element) => {
    const chain = [];
    for (let e = element; e; e = e.parentElement) chain.unshift(parse(getComputedStyle(e).backgroundColor));
    return chain.reduce((under, colour) => over(colour, under), [255, 255, 255]);
  };
  const light = (colour) => {
    const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = colour.map((part) => linear(part / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const poor = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (!walk.currentNode.textContent.trim() || !element.checkVisibility({ opacityProperty: true })) continue;
    if (element.closest("svg, :disabled, option, noscript")) continue;
    const style = getComputedStyle(element), under = ground(element);
    const [a, b] = [light(over(parse(style.color), under)), light(under)].sort((one, two) => two - one);
    const contrast = (a + 0.05) / (b + 0.05);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    seen++;
    if (contrast < (large ? 3 : 4.5))
      poor.push(`${element.textContent.trim()}: ${contrast.toFixed(2)}, ${style.color} on ${under.map(Math.round)}`);
  }
  return JSON.stringify([seen, poor]);
})()"""


@pytest.fixture
def busy(watched: Page) -> Page:
    """With a zone, a second stream, and everything shown that can be shown."""
    with watched.service.http as http:
        http.patch("/streams/door", json={"zones": [ZONE], "stills_days": 1})
        http.post("/streams", json={"id": "dead", "url": "rtsp://127.0.0.1:9/nothing"})
    watched.wait("document.querySelectorAll('#strip .tile').length === 2 && document.querySelector('.zone-numbers dd')")
    watched.browser.size(1440, 2400)  # pictures load when they come into sight
    watched.wait("document.querySelector('.event-still img:not([hidden])')")
    watched.browser.size(1440, 900)
    return watched


VIEWS = {
    "watch": ("", "#watch"),
    "dead": ("location.hash = '#/dead'", "#notice"),
    "overview": ("location.hash = '#/'", "#overview"),
    "editor": ("document.querySelector('#zone-list button').click()", "#zone-form"),
    "add": ("document.getElementById('add').click()", "#stream-dialog"),
    "edit": ("document.getElementById('edit').click()", "#stream-dialog"),
    "still": ("document.querySelector('.event-still button').click()", "#still-dialog"),
    "remove": ("document.getElementById('remove').click()", "#remove-dialog"),
}
"""How to get to each view from that of the stream, and what is visible then."""


def views(page: Page) -> Iterator[str]:
    """Show one view after the other."""
    for view, (script, visible) in VIEWS.items():
        page.browser.value(script)
        page.wait(f"document.querySelector('{visible}').checkVisibility()")
        yield view
        page.browser.value("document.querySelector('dialog[open]')?.close(); location.hash = '#/door'")
        page.click("zone-cancel")
        page.wait("document.querySelector('.zone-numbers dd')?.checkVisibility()")


def test_every_control_has_a_name(busy: Page) -> None:
    for view in views(busy):
        nodes: list[dict[str, Any]] = busy.browser.call("Accessibility.getFullAXTree")["nodes"]
        controls = [node for node in nodes if not node["ignored"] and node["role"]["value"] in CONTROLS]
        assert len(controls) >= 3
        nameless = [node["role"]["value"] for node in controls if not node.get("name", {}).get("value", "").strip()]
        assert (view, nameless) == (view, [])


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_text_stands_out_from_its_ground(busy: Page, scheme: str) -> None:
    busy.browser.prefer(scheme)
    busy.run("document.styleSheets[0].insertRule('* { transition: none !important; animation: none !important }')")
    for view in views(busy):
        seen, poor = json.loads(busy.browser.value(CONTRAST))
        assert seen > 5
        assert (view, poor) == (view, [])


def test_nothing_sticks_out_of_a_narrow_phone_or_is_too_small_to_touch(busy: Page) -> None:
    busy.browser.size(320, 640, mobile=True)
    for view in views(busy):
        assert (view, busy.browser.value("document.documentElement.scrollWidth")) == (view, 320)
        controls = "button, a:not(.skip), input, select"
        assert (view, busy.browser.value(names_of(f"{controls}, h1, h2, p, dd", "box.right > 321"))) == (view, [])
        assert (view, busy.browser.value(names_of(controls, "box.height < 24 || box.width < 24"))) == (view, [])


def names_of(selector: str, condition: str) -> str:
    """JavaScript: what visible elements have a `box` (DOMRect) such that `condition`."""
    return f"""[...document.querySelectorAll('{selector}')].filter((element) => {{
        const box = element.getBoundingClientRect();
        return element.checkVisibility() && ({condition});
    }}).map((element) => element.id || element.className || element.textContent)"""


def test_keyboard_reaches_everything_and_the_focus_is_seen(busy: Page) -> None:
    busy.browser.value("document.activeElement.blur()")
    reached, outlines = [], []
    for _ in range(120):
        busy.browser.press("Tab")
        name, outline = busy.browser.value(FOCUSED)
        reached.append(name)
        outlines.append(outline)
        if reached[-1] == "counts-reset":
            break
    assert reached[0] == "skip"
    for name in (
        "add",
        "previous",
        "edit",
        "remove",
        "show-trails",
        "show-labels",
        "history-span",
        "export-events",
        "export-counts",
        "stills",
        "k",
        "mode",
        "draw-area",
        "draw-line",
    ):
        assert name in reached
    assert set(outlines) == {"solid"}


def test_skip_link_leads_past_the_header(busy: Page) -> None:
    busy.browser.value("document.activeElement.blur()")
    busy.browser.press("Tab")
    busy.browser.press("Enter")
    assert busy.browser.value("document.activeElement.id") == "main"
    busy.browser.press("Tab")
    assert busy.browser.value("document.activeElement.id") == "hint-close"
    busy.browser.press("Tab")
    assert busy.browser.value("document.activeElement.className") == "back"


def test_charts_and_zones_are_told_in_words(busy: Page) -> None:
    busy.wait("/now \\d+, lowest \\d+, highest \\d+/.test(document.getElementById('people-chart').ariaLabel)")
    assert busy.browser.value("document.getElementById('rate-chart').ariaLabel").startswith("Frames per second over")
    assert busy.browser.value("document.querySelector('#zone-list button').ariaLabel") == "Edit Hall"
    assert busy.browser.value("document.getElementById('k').getAttribute('aria-valuetext')") == "every 4 frames"
    assert busy.browser.value("document.querySelector('.legend').textContent.split(/\\s+/).filter(Boolean).join()") == (
        "teacher,student,predicted"
    )
