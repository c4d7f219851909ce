"""A real browser for tests: headless Chromium, driven by the DevTools protocol over one WebSocket."""

import base64
import itertools
import json
import shutil
import subprocess
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from websockets.sync.client import connect

from tests.service.waiting import wait_until

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--remote-debugging-port=0",
)


class Chromium:
    """One page of a browser with an empty profile below `folder`."""

    def __init__(self, folder: Path, width: int = 1440, height: int = 900) -> None:
        self.errors: list[str] = []
        """What scripts threw and what the browser complained of; answers such as 404 are the test's own to judge."""
        self._folder, self._size = folder, (width, height)
        self._numbers = itertools.count(1)
        self._open = ExitStack()

    def __enter__(self) -> Self:
        assert PROGRAM is not None
        command = [PROGRAM, *FLAGS, f"--user-data-dir={self._folder}", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with ExitStack() as opening:
            opening.callback(process.wait, 10)
            opening.callback(process.terminate)
            address = self._page_address(self._folder)
            self._socket = opening.enter_context(connect(address, max_size=None, compression=None))
            for domain in ("Page", "Runtime", "Log"):
                self.call(f"{domain}.enable")
            self.size(*self._size)
            self._open = opening.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._open.close()

    def _page_address(self, folder: Path) -> str:
        """Where the DevTools of the browser's one page are."""
        port_file = folder / "DevToolsActivePort"
        wait_until(lambda: port_file.exists() and port_file.read_text().count("\n"), 60, "Chromium to start")
        port = port_file.read_text().split()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
            return str(next(target for target in json.load(answer) if target["type"] == "page")["webSocketDebuggerUrl"])

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command and return its result."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(30))
            if message.get("method") == "Runtime.exceptionThrown":
                self.errors.append(message["params"]["exceptionDetails"]["exception"]["description"])
            if message.get("method") == "Log.entryAdded" and message["params"]["entry"]["source"] != "network":
                self.errors.append(str(message["params"]["entry"]))
            if message.get("id") == number:
                assert "error" not in message, message
                return dict(message["result"])

    def open(self, url: str) -> None:
        """Go to a page."""
        self.call("Page.navigate", url=url)

    def size(self, width: int, height: int, mobile: bool = False) -> None:
        """Change the window, in CSS pixels."""
        scale = 2 if mobile else 1
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=mobile
        )

    def value(self, expression: str) -> Any:
        """Evaluate JavaScript; promises are awaited."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, expression: str, timeout_s: float = 15.0) -> None:
        """Wait until JavaScript is truthy; errors count as not yet, since a page loads piece by piece."""
        ready = f"(() => {{ try {{ return Boolean({expression}) }} catch {{ return false }} }})()"
        wait_until(lambda: self.value(ready), timeout_s, expression)

    def press(self, key: str) -> None:
        """Press and release a key such as 'a', 'Enter' or 'ArrowDown'."""
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        code = {
            "Enter": 13,
            "ArrowDown": 40,
            "ArrowUp": 38,
            "Escape": 27,
            "Tab": 9,
            "ArrowRight": 39,
            "ArrowLeft": 37,
        }.get(key, 0)
        down = "keyDown" if text else "rawKeyDown"
        self.call("Input.dispatchKeyEvent", type=down, key=key, code=key, text=text, windowsVirtualKeyCode=code)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=key, windowsVirtualKeyCode=code)

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self.call("Input.insertText", text=text)

    def drag(self, *points: tuple[float, float]) -> None:
        """Press the mouse at the first point (CSS pixels), move it through the others and release it at the last."""
        button = {"button": "left", "buttons": 1, "clickCount": 1}
        for kind, (x, y) in (
            ("mousePressed", points[0]),
            *(("mouseMoved", point) for point in points[1:]),
            ("mouseReleased", points[-1]),
        ):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **button)

    def prefer(self, scheme: str) -> None:
        """Be a browser of somebody who likes `dark` or `light` pages."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def screenshot(self, path: Path) -> None:
        """Save what is to be seen as PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))
