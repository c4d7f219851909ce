"""The page for everybody: names for screen readers, contrast, keyboard, small screens."""

import json
from typing import Any

import pytest

from tests.service.page.conftest import Page

CONTROLS = {"button", "link", "textbox", "combobox", "slider", "spinbutton", "image", "img", "Canvas", "dialog", "form"}
ZONE = {"id": "hall", "name": "Hall", "type": "polygon", "points": [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]}

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
        http.put("/streams/door/zones", json={"zones": [ZONE]})
        http.post("/streams", json={"id": "dead", "url": "rtsp://127.0.0.1:9/nothing"})
    watched.wait("document.querySelectorAll('#strip .tile').length === 2 && document.querySelector('.zone-numbers dd')")
    return watched


VIEWS = {
    "watch": "",
    "overview": "location.hash = '#/'",
    "dead": "location.hash = '#/dead'",
    "editor": "document.querySelector('#zone-list button').click()",
    "add": "document.getElementById('add').click()",
    "edit": "document.getElementById('edit').click()",
    "remove": "document.getElementById('remove').click()",
}
READY = {
    "overview": "#overview",
    "dead": "#notice",
    "editor": "#zone-form",
    "add": "#stream-dialog",
    "edit": "#stream-dialog",
}


def show(page: Page, view: str) -> None:
    page.browser.value(VIEWS[view])
    page.wait(f"document.querySelector('{READY.get(view, '#main')}').checkVisibility()")


@pytest.mark.parametrize("view", VIEWS)
def test_every_control_has_a_name(busy: Page, view: str) -> None:
    show(busy, view)
    nodes: list[dict[str, Any]] = busy.browser.call("Accessibility.getFullAXTree")["nodes"]
    controls = [node for node in nodes if not node["ignored"] and node["role"]["value"] in CONTROLS]
    assert len(controls) >= 4
    nameless = [node["role"]["value"] for node in controls if not node.get("name", {}).get("value", "").strip()]
    assert nameless == []


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("view", VIEWS)
def test_text_stands_out_from_its_ground(busy: Page, view: str, scheme: str) -> None:
    busy.browser.prefer(scheme)
    show(busy, view)
    busy.run("document.styleSheets[0].insertRule('* { transition: none !important; animation: none !important }')")
    seen, poor = json.loads(busy.browser.value(CONTRAST))
    assert seen > 5
    assert poor == []


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_sticks_out_of_a_narrow_phone(busy: Page, view: str) -> None:
    busy.browser.size(320, 640, mobile=True)
    show(busy, view)
    assert busy.browser.value("document.documentElement.scrollWidth") <= 320
    controls = "button, a:not(.skip), input, select"
    assert busy.browser.value(names_of(f"{controls}, h1, h2, p, dd", "box.right > 321")) == []
    assert busy.browser.value(names_of(controls, "box.height < 24 || box.width < 24")) == []


def names_of(selector: str, condition: str) -> str:
    """JavaScript: what visible elements have a `box` (DOMRect) such that `condition`."""
    return f"""[...document.querySelectorAll('{selector}')].filter((element) => {{
        const box = element.getBoundingClientRect();
        return element.checkVisibility() && ({condition});
    }}).map((element) => element.id || element.className || element.textContent)"""


def test_keyboard_reaches_everything_and_the_focus_is_seen(busy: Page) -> None:
    busy.browser.value("document.activeElement.blur()")
    reached, outlines = [], []
    for _ in range(40):
        busy.browser.press("Tab")
        reached.append(busy.browser.value("document.activeElement.id || document.activeElement.textContent.trim()"))
        outlines.append(busy.browser.value("getComputedStyle(document.activeElement).outlineStyle"))
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
    assert busy.browser.value("document.activeElement.className") == "back"


def test_charts_and_zones_are_told_in_words(busy: Page) -> None:
    busy.wait("/now \\d+, lowest \\d+, highest \\d+/.test(document.getElementById('people-chart').ariaLabel)")
    assert busy.browser.value("document.getElementById('rate-chart').ariaLabel").startswith("Frames per second over")
    assert busy.browser.value("document.querySelector('#zone-list button').ariaLabel") == "Edit Hall"
    assert busy.browser.value("document.getElementById('k').getAttribute('aria-valuetext')") == "every 4 frames"
    assert busy.browser.value("document.querySelector('.legend').textContent.split(/\\s+/).filter(Boolean).join()") == (
        "teacher,student,predicted"
    )
