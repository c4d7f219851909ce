"""The web page in a real browser."""

from collections.abc import Callable, Iterator

import pytest

from tests.service import chromium
from tests.service.chromium import Chromium
from tests.service.conftest import RunningService
from tests.support.rtsp_server import RtspServer

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium.PROGRAM is None, reason="needs chromium: apt-get install chromium"),
]
TEXT = "document.getElementById('{}').textContent"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("browser") / "profile") as page:
        yield page


def test_person_adds_a_camera_watches_it_and_removes_it(
    browser: Chromium, start_service: Callable[..., RunningService], camera: RtspServer
) -> None:
    service = start_service(k=3)
    browser.open(f"http://127.0.0.1:{service.port}/")
    browser.wait_for("!document.getElementById('empty').hidden")

    browser.press("a")
    browser.wait_for("document.getElementById('add-dialog').open")
    browser.type("http://camera.example/")
    browser.press("Enter")
    browser.wait_for(TEXT.format("add-problem"))
    assert "http:// is not allowed here" in browser.value(TEXT.format("add-problem"))
    browser.value("document.querySelector('[name=url]').value = ''")
    browser.type(camera.url())
    browser.press("Enter")

    browser.wait_for("!document.getElementById('add-dialog').open")
    browser.wait_for(f"{TEXT.format('people')} === '3'", 30)
    browser.wait_for("document.querySelector('.state.running')")
    browser.wait_for(TEXT.format("kind") + ".trim() === 'teacher'")
    browser.wait_for(TEXT.format("kind") + ".trim() === 'student'")
    assert browser.value(TEXT.format("period")) == "3frames"
    browser.wait_for(  # the picture is drawn, and so are coloured boxes on its dark ground
        """(() => { const c = document.getElementById('picture'), d = c.getContext('2d')
        .getImageData(0, 0, c.width, c.height).data; return d.some((v) => v > 200); })()"""
    )

    browser.value("document.getElementById('remove').click()")
    browser.wait_for("document.getElementById('remove-dialog').open")
    browser.value("document.querySelector('#remove-dialog .danger').click()")
    browser.wait_for("!document.getElementById('empty').hidden")
    assert not browser.errors
    assert service.runtime.registry.all() == []


def test_api_documentation_works_without_another_host(
    browser: Chromium, start_service: Callable[..., RunningService]
) -> None:
    origin = f"http://127.0.0.1:{start_service().port}"
    browser.open(f"{origin}/docs")
    browser.wait_for("document.querySelector('.opblock')", 30)
    loaded = browser.value("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert loaded
    assert all(url.startswith((origin, "data:")) for url in loaded)
    assert not browser.errors
