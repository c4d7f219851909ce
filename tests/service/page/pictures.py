"""Makes the pictures of the page that README and docs show: `python -m tests.service.page.pictures docs/images`."""

import argparse
import tempfile
import time
from pathlib import Path

from testbed.service_process import ServiceProcess
from tests.service.chromium import PROGRAM, Chromium

SEEN_HINT = "localStorage.setItem('atttrack-hint-seen', 'yes')"
SHOWN = "document.querySelector('#people')?.textContent > 1 && document.querySelector('.event-still img:not([hidden])')"
GRID = "document.querySelectorAll('#tiles .thumb img:not([hidden])').length === 3"


def main() -> None:
    """Run the demo and a browser, and save a picture of each view."""
    parser = argparse.ArgumentParser(prog="python -m tests.service.page.pictures", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the pictures go, as docs/images")
    parser.add_argument("--warm-s", type=float, default=120.0, help="seconds of the demo before the first picture")
    arguments = parser.parse_args()
    if PROGRAM is None:
        parser.exit(1, "this needs chromium: apt-get install chromium\n")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        service = ServiceProcess(Path(scratch) / "log.txt", "--demo")
        try:
            time.sleep(arguments.warm_s)  # the timeline fills
            with Chromium(Path(scratch) / "profile") as browser:
                take(browser, f"http://{service.address}/", arguments.folder)
        finally:
            service.process.terminate()
            service.process.wait(30)


def take(browser: Chromium, address: str, folder: Path) -> None:
    """Save all views of the page at `address`."""
    browser.open(address)
    browser.wait_for("document.readyState === 'complete'")
    browser.value(SEEN_HINT)
    for name, scheme, route, ready, (width, height), mobile in (
        ("grid", "dark", "", GRID, (1440, 560), False),
        ("page", "dark", "#/near", SHOWN, (1440, 1560), False),
        ("page-light", "light", "#/near", SHOWN, (1440, 1560), False),
        ("phone", "dark", "#/near", "document.querySelector('#people')?.textContent > 1", (390, 844), True),
    ):
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
