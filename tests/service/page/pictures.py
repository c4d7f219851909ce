"""Makes the pictures of the page that README and docs show: `python -m tests.service.page.pictures docs/images`."""

import argparse
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from testbed.service_process import ServiceProcess
from tests.service.chromium import PROGRAM, Chromium

SEEN_HINT = "localStorage.setItem('atttrack-hint-seen', 'yes')"
PEOPLE = "document.querySelector('#people')?.textContent > 1"
SHOWN = f"{PEOPLE} && document.querySelector('.event-still img:not([hidden])')"
GRID = "document.querySelectorAll('#tiles .thumb img:not([hidden])').length === 3"

View = tuple[str, str, str, str, tuple[int, int], bool]
"""Name, colour scheme, route, what has to be true, size in CSS pixels, whether it is a phone."""
VIEWS: tuple[View, ...] = (
    ("grid", "dark", "", GRID, (1440, 480), False),
    ("page", "dark", "#/near", SHOWN, (1440, 1320), False),
    ("page-light", "light", "#/near", SHOWN, (1440, 1560), False),
    ("phone", "dark", "#/near", PEOPLE, (390, 844), True),
)


def main() -> None:
    """Run the demo and a browser, and save a picture of each view."""
    parser = argparse.ArgumentParser(prog="python -m tests.service.page.pictures", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the pictures go, as docs/images")
    parser.add_argument("--warm-s", type=float, default=120.0, help="seconds of the demo before the first picture")
    parser.add_argument("--all", action="store_true", help="the light page and the phone's as well, to look at")
    arguments = parser.parse_args()
    if PROGRAM is None:
        parser.exit(1, "this needs chromium: apt-get install chromium\n")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        service = ServiceProcess(Path(scratch) / "log.txt", "--demo")
        try:
            time.sleep(arguments.warm_s)  # the timeline fills
            with Chromium(Path(scratch) / "profile") as browser:
                take(browser, f"http://{service.address}/", arguments.folder, VIEWS if arguments.all else VIEWS[:2])
        finally:
            service.process.terminate()
            service.process.wait(30)


def take(browser: Chromium, address: str, folder: Path, views: Iterable[View]) -> None:
    """Save `views` of the page at `address`."""
    browser.open(address)
    browser.wait_for("document.readyState === 'complete'")
    browser.value(SEEN_HINT)
    for name, scheme, route, ready, (width, height), mobile in views:
        browser.prefer(scheme)
        browser.size(width, height, mobile=mobile)
        browser.open("about:blank")
        browser.open(address + route)
        browser.wait_for(ready, 60)
        time.sleep(12)  # the charts fill, a second a sample
        browser.wait_for(ready, 60)
        browser.screenshot(folder / f"{name}.png")
        print(folder / f"{name}.png")
    if browser.errors:
        raise SystemExit("\n".join(browser.errors))


if __name__ == "__main__":
    main()
