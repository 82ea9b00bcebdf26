"""
A real Chromium without a window, asked over its pipe for the DevTools protocol.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

SECONDS = 1.0
PATIENCE = 30 * SECONDS
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


class Browser:
    """
    One browser with one tab; *folder* is where it keeps what it keeps.
    """

    def __init__(self, folder: Path) -> None:
        to_browser, ours = os.pipe()
        self._answers, from_browser = os.pipe()
        self._asks = ours
        self._received = b""
        self._number = 0
        # Chromium reads its pipe at descriptor 3 and writes at 4, whatever ours are called.
        shell = f'exec "$@" 3<&{to_browser} 4>&{from_browser}'
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--mute-audio"]
        options += ["--autoplay-policy=no-user-gesture-required", "--remote-debugging-pipe", f"--user-data-dir={folder}"]
        self._process = subprocess.Popen(
            ["bash", "-c", shell, "bash", program(), *options, "about:blank"],
            pass_fds=(to_browser, from_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._tab = ""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._tab = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._asks)
        os.close(self._answers)

    def open(self, url: str) -> None:
        """
        Open *url* as the document of the tab.
        """
        self.ask("Page.navigate", url=url)

    def until(self, expression: str) -> Any:  # noqa: ANN401 - a JSON value
        """
        Return the value of *expression* in the page as soon as it is true, or else its last one.
        """
        end = time.monotonic() + PATIENCE
        while True:
            value = self.evaluate(expression)
            if value or time.monotonic() > end:
                return value
            time.sleep(0.02)

    def evaluate(self, expression: str) -> Any:  # noqa: ANN401 - a JSON value
        """
        Return the value of *expression* in the page, of a promise what it comes to.
        """
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        return answer["result"].get("value")

    def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        """
        Return what the browser answers to *method* of the DevTools protocol.
        """
        self._number += 1
        asked: dict[str, object] = {"id": self._number, "method": method, "params": parameters}
        if self._tab:
            asked["sessionId"] = self._tab
        os.write(self._asks, json.dumps(asked).encode() + b"\0")
        end = time.monotonic() + PATIENCE
        while True:
            message = self._message(end)
            if message.get("id") == self._number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result

    def _message(self, end: float) -> dict[str, Any]:
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._answers], [], [], max(0, end - time.monotonic()))
            data = os.read(self._answers, 1 << 16) if ready else b""

            assert data, "the browser does not answer"
            self._received += data
        first, self._received = self._received.split(b"\0", 1)
        message: dict[str, Any] = json.loads(first)
        return message


def program() -> str:
    """
    Return where the browser is.
    """
    return next((path for path in map(shutil.which, PROGRAMS) if path), PROGRAMS[0])
