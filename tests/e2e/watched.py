"""
The command with a watch over its event loop.

``python -m tests.e2e.watched FILE …`` is ``holdfast serve``; FILE tells which step of the loop took longest, and what ran then.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
import time
import traceback
from pathlib import Path

from service.cli.main import main
from service.server import run
from service.server.signals import Server

SECONDS = 1.0
BEAT = 0.005 * SECONDS
WARM = 1 * SECONDS
SHOWN = 6  # calls


class Watch:
    """
    Looks from a thread of its own at how long the loop of the main thread does not turn.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._beat_at = 0.0
        self._loop = asyncio.get_running_loop()
        self._main = threading.get_ident()
        self._beat()
        threading.Thread(target=self._look, daemon=True).start()

    def _beat(self) -> None:
        self._beat_at = time.monotonic()
        self._loop.call_later(BEAT, self._beat)

    def _look(self) -> None:
        time.sleep(WARM)
        longest = 2 * BEAT
        while True:
            time.sleep(BEAT)
            late = time.monotonic() - self._beat_at - BEAT
            if late > longest:
                longest = late
                stack = traceback.extract_stack(sys._current_frames()[self._main])[-SHOWN:]
                calls = [f"{Path(call.filename).name}:{call.lineno} {call.name}" for call in stack]
                self._path.write_text(json.dumps({"seconds": late, "calls": calls}))


class Watched(Server):
    """The server of one process, with a watch."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        Watch(FILE)


if __name__ == "__main__":
    FILE = Path(sys.argv[1])
    vars(run)["Server"] = Watched
    sys.argv = ["holdfast", "serve"]
    main()
