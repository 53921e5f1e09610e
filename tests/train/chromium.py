"""Headless Chromium, driven through the pipe of its DevTools protocol."""

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

BINARY = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--hide-scrollbars", "--remote-debugging-pipe",
]  # fmt: skip


class Tab:
    """A page: `ask` is a command of the protocol, `run` an expression of JavaScript."""

    def __init__(self, heard: BinaryIO, told: BinaryIO) -> None:
        self._in, self._out = heard, told
        self._session, self._number, self._rest = "", 0, b""
        self.events: list[dict[str, Any]] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "DOM", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **given: Any) -> dict[str, Any]:
        """The result; what the browser tells meanwhile is kept in `events`."""
        self._number += 1
        session = {"sessionId": self._session} if self._session else {}
        asked = {"id": self._number, "method": method, "params": given, **session}
        self._out.write(json.dumps(asked).encode() + b"\0")
        self._out.flush()
        while True:
            told = json.loads(self._message())
            if told.get("id") == self._number:
                assert "error" not in told, told
                return told["result"]
            self.events.append(told)

    def _message(self) -> bytes:
        while b"\0" not in self._rest:
            got = os.read(self._in.fileno(), 1 << 16)
            assert got, "Chromium has ended"
            self._rest += got
        found, _, self._rest = self._rest.partition(b"\0")
        return found

    def run(self, code: str) -> Any:
        """The value of an expression, a promise awaited."""
        told = self.ask("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def until(self, code: str, seconds: float = 60) -> Any:
        """The value of an expression as soon as it is true."""
        last = time.monotonic() + seconds
        while not (value := self.run(code)):
            assert time.monotonic() < last, code
            time.sleep(0.05)
        return value

    def open(self, address: str) -> None:
        """Goes there, and waits until it is loaded."""
        self.ask("Page.navigate", url=address)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def choose(self, selector: str, *files: Path) -> None:
        """Chooses files in an input."""
        root = self.ask("DOM.getDocument")["root"]["nodeId"]
        node = self.ask("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.ask("DOM.setFileInputFiles", files=[str(file) for file in files], nodeId=node)

    def drop(self, selector: str, *files: Path) -> None:
        """Drags files from the desktop onto the middle of an element, and lets them go."""
        box = self.run(f"document.querySelector('{selector}').getBoundingClientRect().toJSON()")
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        data = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.ask("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    def press(self, key: str, code: int, *commands: str) -> None:
        """A key down and up; commands: of an editor, that the key means."""
        for kind, meant in (("rawKeyDown", commands), ("keyUp", ())):
            self.ask(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code,
                commands=list(meant),
            )  # fmt: skip

    def allow_clipboard(self, address: str) -> None:
        """Lets the pages of an address read and write the clipboard, which is the browser's own."""
        allowed = ["clipboardReadWrite", "clipboardSanitizedWrite"]
        self.ask("Browser.grantPermissions", origin=address, permissions=allowed)

    def resize(self, width: int, height: int, dark: bool = False) -> None:
        """The size of the window, and what the reader prefers."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        wanted = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.ask("Emulation.setEmulatedMedia", features=wanted)

    def picture(self) -> bytes:
        """A PNG of what is seen."""
        return base64.b64decode(self.ask("Page.captureScreenshot", captureBeyondViewport=True)["data"])


@contextmanager
def tab(folder: Path) -> Iterator[Tab]:
    """A page of a fresh browser whose profile lies in the folder."""
    (theirs_in, writing), (reading, theirs_out) = os.pipe(), os.pipe()
    ends = f"exec 3<&{theirs_in} 4>&{theirs_out}; "
    line = [BINARY, *FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"]
    process = subprocess.Popen(
        ["bash", "-c", ends + 'exec "$@"', "chromium", *line], pass_fds=(theirs_in, theirs_out),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "HOME": str(folder)},
    )  # fmt: skip
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        with os.fdopen(reading, "rb") as heard, os.fdopen(writing, "wb") as told:
            made = Tab(heard, told)
            yield made
            made.ask("Browser.close")
    finally:
        process.kill()
        process.wait()
