"""The page of a service whose networks see more than people: labels, a choice of what is shown, zones of classes."""

from collections.abc import Iterator

import pytest

from service.settings import Settings
from tests.service.conftest import SIZE, RunningService, run_service
from tests.service.page.conftest import Page
from tests.support.tiny_pair import write_pair_of_classes


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """It sees persons, cars and dogs, as walkers of three colours."""
    models = tmp_path_factory.mktemp("models")
    write_pair_of_classes(models, SIZE)
    running = run_service(
        Settings(models=models, pair="tiny", size="320x192", device="cpu", allow_loopback=True, k=4, state_dir=models)
    )
    yield running
    running.stop()


def test_one_class_is_chosen_to_be_shown_and_a_zone_counts_another(watched: Page) -> None:
    watched.wait_shown("show-class")
    assert watched.text("people-title") == "Tracked now"
    assert watched.browser.value("[...document.getElementById('show-class').options].map((o) => o.text).join()") == (
        "all classes,person,car,dog"
    )
    # What is written into the picture is caught on its way there.
    watched.browser.value(
        "(() => { const draw = CanvasRenderingContext2D.prototype.fillText; window.written = new Set();"
        "CanvasRenderingContext2D.prototype.fillText = function (text, ...at) {"
        "window.written.add(text); draw.call(this, text, ...at); }; return 1 })()"
    )
    written = "[...window.written].filter((text) => /^[123]( (car|dog))?$/.test(text))"
    watched.wait(f"{written}.length === 3 && {written}.filter((text) => text.endsWith('car')).length === 1")
    watched.browser.value(
        "(() => { const s = document.getElementById('show-class'); s.value = 'dog';"
        "s.dispatchEvent(new Event('change')); window.written.clear(); return 1 })()"
    )
    # Forgotten at each look: a picture that was on its way when the choice was made may still show all.
    watched.wait(
        f"(() => {{ const seen = {written}; window.written.clear();"
        "return seen.length === 1 && seen[0].endsWith('dog') })()"
    )

    watched.click("draw-area")
    watched.click("zone-add-corner")  # the first one brings four
    watched.browser.value("document.querySelector('#zone-classes input[value=car]').click()")
    watched.click("zone-save")
    watched.wait("document.getElementById('zone-form').hidden")
    assert watched.stream()["zones"][0]["classes"] == ["car"]
    assert watched.browser.value("document.querySelector('.zone-classes').textContent") == "car"
