"""Today's tests of the page once more, against `atttrack box` with two nodes; and its own page, that of the nodes."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.service.cluster.running_box import Box, running_box
from tests.service.page import test_page as page_of_streams
from tests.service.page import test_page_timeline as timeline
from tests.service.page import test_page_zones as zones
from tests.service.page.conftest import Page
from tests.service.waiting import wait_until

hall = timeline.hall
SAME = (
    page_of_streams.test_person_adds_a_camera_watches_it_and_removes_it,
    page_of_streams.test_person_edits_a_stream_and_its_secrets_are_never_shown,
    page_of_streams.test_k_and_mode_are_changed_and_shown_as_they_are_in_force,
    page_of_streams.test_grid_shows_every_stream_live_and_leads_to_each,
    page_of_streams.test_dead_camera_says_why_and_when_it_is_tried_again,
    zones.test_area_drawn_with_the_mouse_is_kept_and_counts_live,
    timeline.test_events_are_listed_newest_first_with_their_pictures,
)
globals().update({f"{one.__name__}_in_front_of_a_box": one for one in SAME})
NOTHING = "\N{EN DASH}"
ROW = "[...document.querySelectorAll('#nodes tr')].find((row) => row.textContent.includes('{}'))"


@pytest.fixture(scope="module")
def service(models: Path, media: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    with running_box(models, media, tmp_path_factory.mktemp("box")) as box:
        yield box


def test_page_of_the_nodes_shows_their_streams_and_drains_one_by_a_click(page: Page, client: httpx.Client) -> None:
    page.open("nodes")
    page.wait_text("totals", "site main · 2 nodes · 0 streams")
    for number in range(2):
        body = {"id": f"s{number}", "url": f"synthetic://?people=1&width=160&height=96&fps=2&seed={number}"}
        assert client.post("/streams", json=body).status_code == 201
    page.wait_text("totals", "2 nodes · 2 streams")
    wait_until(lambda: sorted(map(len, page.service.nodes().values())) == [1, 1], 30, "a stream for each")
    for name, streams in page.service.nodes().items():
        page.wait(f"{ROW.format(name)}.cells[4].textContent === '{streams[0]}'")
        assert page.browser.value(f"{ROW.format(name)}.cells[1].textContent") == "cpu"
        assert page.browser.value(f"/^1 of \\d+$/.test({ROW.format(name)}.cells[3].textContent)")
        page.wait(f"/^\\d+ %$/.test({ROW.format(name)}.cells[2].textContent)")

    assert page.browser.value(f"{ROW.format('node-0')}.querySelector('button').ariaLabel") == "Drain: node-0"
    page.browser.value(f"{ROW.format('node-0')}.querySelector('button').focus()")
    page.browser.press("Enter")
    page.wait(f"{ROW.format('node-1')}.cells[4].textContent === 's0, s1'", 30)
    page.wait(f"{ROW.format('node-0')}.cells[0].textContent === 'node-0 (draining)'")
    page.wait(f"{ROW.format('node-0')}.cells[4].textContent === '{NOTHING}'")
    page.browser.value(f"{ROW.format('node-0')}.querySelector('button').click()")
    page.wait(f"{ROW.format('node-0')}.cells[0].textContent === 'node-0'", 30)
    page.wait(f"{ROW.format('node-0')}.cells[4].textContent !== '{NOTHING}'", 30)
    assert page.text("nodes-problem") == ""
    assert page.text("unplaced") == ""
