"""Zones on the page: drawn with the mouse, typed with the keyboard, counted live."""

import json
from typing import Any

import pytest

from tests.service.page.conftest import Page

LAYER = "document.getElementById('zone-layer')"


def on_picture(page: Page, x: float, y: float) -> tuple[float, float]:
    """Where a point of the picture is in the window."""
    left, top, width, height = json.loads(
        page.browser.value(
            f"(() => {{ const r = {LAYER}.getBoundingClientRect();"
            "return JSON.stringify([r.left, r.top, r.width, r.height]) })()"
        )
    )
    return left + x * width, top + y * height


def zones(page: Page) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = page.stream()["zones"]
    return shown


def test_area_drawn_with_the_mouse_is_kept_and_counts_live(watched: Page) -> None:
    watched.click("draw-area")
    corners = [(0.02, 0.02), (0.98, 0.02), (0.98, 0.98), (0.3, 0.5)]
    for corner in corners:
        watched.browser.drag(on_picture(watched, *corner))
    assert watched.text("zone-count") == "4 corners"
    watched.browser.drag(on_picture(watched, 0.3, 0.5), on_picture(watched, 0.1, 0.7), on_picture(watched, 0.02, 0.98))
    watched.fill("#zone-form [name=name]", "Whole hal")
    watched.browser.press("l")  # a key of its own, which nothing may swallow
    watched.browser.press("Enter")
    watched.wait("document.getElementById('zone-form').hidden")
    (zone,) = zones(watched)
    assert (zone["id"], zone["name"], zone["type"]) == ("area-1", "Whole hall", "polygon")
    assert zone["points"] == pytest.approx([pytest.approx(point, abs=0.01) for point in [*corners[:3], (0.02, 0.98)]])
    watched.wait(f"{LAYER}.textContent.trim() === 'Whole hall  3'")
    watched.wait("document.querySelector('.zone-numbers').textContent.startsWith('inside3')")

    watched.click("counts-reset")
    watched.wait_text("spoken", "Counts start again from zero.")
    watched.wait(f"{LAYER}.textContent.trim() === 'Whole hall  3'")


def test_line_typed_by_keyboard_reversed_and_deleted(watched: Page) -> None:
    watched.click("draw-line")
    assert watched.browser.value("document.activeElement.name") == "name"
    watched.click("zone-add-corner")
    for index, value in enumerate(("25", "50.5", "75", "50.5")):
        watched.fill(f"#zone-corners li:nth-child({index // 2 + 1}) label:nth-of-type({index % 2 + 1}) input", value)
    watched.browser.press("Enter")
    watched.wait("document.querySelectorAll('#zone-list li').length === 1")
    assert zones(watched)[0]["points"] == [[0.25, 0.505], [0.75, 0.505]]
    watched.browser.value("document.querySelector('#zone-list button').click()")
    watched.click("zone-reverse")
    watched.click("zone-save")
    watched.wait("document.getElementById('zone-form').hidden")
    assert zones(watched)[0]["points"] == [[0.75, 0.505], [0.25, 0.505]]
    watched.wait(f"{LAYER}.textContent.trim().startsWith('Line 1')")
    watched.browser.value("document.querySelector('#zone-list button').click()")
    watched.click("zone-delete")
    watched.wait_shown("zone-none")
    assert zones(watched) == []


def test_area_that_crosses_itself_is_refused_with_the_reason_and_stays_open(watched: Page) -> None:
    watched.click("draw-area")
    for corner in ((0.1, 0.1), (0.9, 0.9), (0.9, 0.1), (0.1, 0.9)):
        watched.browser.drag(on_picture(watched, *corner))
    watched.click("zone-save")
    watched.wait_text("zone-problem", "cross or touch")
    assert zones(watched) == []
    watched.browser.value("document.querySelector('#zone-corners li button').click()")
    assert watched.text("zone-count") == "3 corners"
    watched.click("zone-save")
    watched.wait("document.querySelectorAll('#zone-list li').length === 1")


def test_escape_leaves_the_editor_and_changes_nothing(watched: Page) -> None:
    watched.browser.value("document.getElementById('draw-area').focus()")
    watched.click("draw-area")
    watched.browser.drag(on_picture(watched, 0.5, 0.5))
    assert watched.browser.value("document.getElementById('zone-save').disabled")
    watched.browser.press("Escape")
    watched.wait("document.getElementById('zone-form').hidden")
    assert watched.browser.value("document.activeElement.id") == "draw-area"
    assert zones(watched) == []
    assert watched.browser.value(f"{LAYER}.childElementCount") == 0
