"""The page of a service that asks for a key."""

from collections.abc import Callable

from testbed.rtsp_server import RtspServer
from tests.service.chromium import Chromium
from tests.service.conftest import RunningService
from tests.service.page.conftest import Page

KEY = "a-long-enough-bootstrap-key-for-tests"


def test_page_asks_for_a_key_and_uses_tickets_where_no_header_can_be_sent(
    browser: Chromium, start_service: Callable[..., RunningService], camera: RtspServer
) -> None:
    page = Page(browser, start_service(api_key=KEY))
    with page.service.http as http:
        head = {"Authorization": f"Bearer {KEY}"}
        assert http.post("/streams", json={"id": "door", "url": camera.url()}, headers=head).status_code == 201
    page.open()
    page.wait("document.getElementById('key-dialog').open")
    assert page.text("key-problem") == ""
    browser.type("wrong")
    browser.press("Enter")
    page.wait_text("key-problem", "not accepted")
    browser.type(KEY)
    browser.press("Enter")
    page.wait("!document.getElementById('key-dialog').open")
    page.wait_text("people", "3")  # by WebSocket, with a ticket
    page.wait("document.getElementById('picture').width > 0")
    addresses = browser.value("performance.getEntriesByType('resource').map((entry) => entry.name).join()")
    assert KEY not in addresses + browser.value("location.href") + browser.value("document.documentElement.outerHTML")

    browser.open(f"{page.origin}/?again")  # the tab remembers it
    page.wait_text("people", "3")
    browser.value("sessionStorage.clear()")
