"""
The command with a watch over its event loop.

``python -m tests.e2e.hostile.watched FILE …`` is ``holdfast serve``; FILE tells which step of the loop took longest, what ran
then, and
how much of that time the loop computed, waited for a CPU (which the kernel counts), and waited for something else: for a disk, or
for another thread to give the interpreter's lock back.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import threading
import time
import traceback
from pathlib import Path

from holdfast.service.cli.main import main
from holdfast.service.server import run
from holdfast.service.server.signals import Server

SECONDS = 1.0
BEAT = 0.005 * SECONDS
WARM = 1 * SECONDS
NANO = 1e9
SHOWN = 6  # calls


class Watch:
    """
    Looks from a thread of its own at how long the loop of the main thread does not turn.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._main = threading.get_ident()
        self._kernel = open(f"/proc/self/task/{threading.get_native_id()}/schedstat", "rb", buffering=0)  # noqa: SIM115 for good
        self._spent = (0.0, 0.0)
        self._beat_at = self._warm_at = time.monotonic() + WARM
        self._longest = 2 * BEAT
        self._calls: list[str] = []
        self._beat()
        threading.Thread(target=self._look, daemon=True).start()

    def _beat(self) -> None:
        now, spent = time.monotonic(), self._times()
        late = now - self._beat_at - BEAT
        if late > self._longest and now > self._warm_at:
            self._longest = late
            computed, queued = (after - before for after, before in zip(spent, self._spent, strict=True))
            waited = max(0.0, late + BEAT - computed - queued)
            step = {"seconds": late, "computed": computed, "queued": queued, "waited": waited, "calls": self._calls}
            self._path.write_text(json.dumps(step))
        self._beat_at, self._spent = now, spent
        self._loop.call_later(BEAT, self._beat)

    def _times(self) -> tuple[float, float]:
        """Return for how long the loop's thread has computed, and waited for a CPU (proc(5), schedstat)."""
        computed, queued, _ = os.pread(self._kernel.fileno(), 100, 0).split()
        return int(computed) / NANO, int(queued) / NANO

    def _look(self) -> None:
        while True:
            time.sleep(BEAT)
            late = time.monotonic() - self._beat_at - BEAT
            if late > self._longest:
                stack = traceback.extract_stack(sys._current_frames()[self._main])[-SHOWN:]
                self._calls = [f"{Path(call.filename).name}:{call.lineno} {call.name}" for call in stack]


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
