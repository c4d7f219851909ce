"""A browser, and a service whose page it shows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from testbed.rtsp_server import RtspServer
from tests.service import chromium
from tests.service.chromium import Chromium
from tests.service.conftest import RunningService


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if chromium.PROGRAM is None:
                item.add_marker(pytest.mark.skip(reason="needs chromium: apt-get install chromium"))


@pytest.fixture(scope="session")
def one_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("browser") / "profile") as page:
        yield page


@pytest.fixture
def browser(one_browser: Chromium) -> Iterator[Chromium]:
    """A desktop browser that likes dark pages; no script may have failed and nothing was refused by the policy."""
    one_browser.size(1440, 900)
    one_browser.prefer("dark")
    yield one_browser
    errors, one_browser.errors = one_browser.errors, []
    one_browser.open("about:blank")
    assert not errors


class Page:
    """The page of one service in the browser."""

    def __init__(self, browser: Chromium, service: RunningService) -> None:
        self.browser, self.service = browser, service
        self.origin = f"http://127.0.0.1:{service.port}"

    def open(self, route: str = "") -> None:
        self.browser.open("about:blank")  # a change of the part after '#' alone would not load the page again
        self.browser.open(f"{self.origin}/{route}")

    def text(self, name: str) -> str:
        """What the element with this id says."""
        return str(self.browser.value(f"document.getElementById('{name}').textContent")).strip()

    def wait_text(self, name: str, text: str, timeout_s: float = 20.0) -> None:
        self.wait(f"document.getElementById('{name}').textContent.includes({text!r})", timeout_s)

    def wait(self, expression: str, timeout_s: float = 20.0) -> None:
        self.browser.wait_for(expression, timeout_s)

    def wait_shown(self, name: str) -> None:
        self.wait(f"document.getElementById('{name}').checkVisibility()")

    def click(self, name: str) -> None:
        """Click on an element by its id."""
        self.browser.value(f"document.getElementById('{name}').click()")

    def fill(self, selector: str, value: str) -> None:
        """Put the focus into a field and type over what is in it."""
        self.browser.value(f"(() => {{ const f = document.querySelector({selector!r}); f.focus(); f.select(); }})()")
        self.browser.type(value)

    def run(self, script: str) -> Any:
        """Run the body of an async function and return what it returns."""
        return self.browser.value(f"(async () => {{ {script} }})()")

    def stream(self, name: str = "door") -> dict[str, Any]:
        with self.service.http as http:
            shown: dict[str, Any] = http.get(f"/streams/{name}").json()
            return shown


@pytest.fixture
def page(browser: Chromium, service: RunningService, client: httpx.Client) -> Page:
    """The page of a service without streams, not opened yet."""
    assert client.get("/streams").json()["streams"] == []
    return Page(browser, service)


@pytest.fixture
def watched(page: Page, client: httpx.Client, camera: RtspServer) -> Page:
    """The page, open at a camera with three walkers; its picture has the size that it keeps."""
    client.post("/streams", json={"id": "door", "name": "Front door", "url": camera.url()})
    page.open("#/door")
    page.wait_text("people", "3")
    page.wait("document.getElementById('watch').style.getPropertyValue('--ratio')")
    return page
