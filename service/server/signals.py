"""
SIGTERM, SIGINT and SIGHUP, from the start of the process on.

Theory of operation
-------------------

An exception that a signal handler raises can be lost: it surfaces wherever the program is, perhaps in a callback whose
exceptions are printed and dropped.  So no handler raises.

* Before the server serves, there is nothing to finish: it has accepted no request, and every store survives a kill.  The
  handler ends the process itself, so a store that does not answer delays nothing.
* Afterwards the handler sets a flag, which the event loop reads at its next tick, a tenth of a second later at most.

Either way the exit status is 0: SIGTERM and Ctrl-C are regular ways to end the service.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from uvicorn.supervisors import Multiprocess

logger = logging.getLogger("holdfast")

STOP = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """The handlers of signals, and what they recorded."""

    def __init__(self) -> None:
        self.server: uvicorn.Server | None = None
        """The server to shut down, once it serves."""
        self.hung_up = False

    def listen(self) -> None:
        """Install the handlers; only the main thread of a process can."""
        for number in STOP:
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._hang_up)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self.server is None or not self.server.started:
            os._exit(0)
        self.server.handle_exit(number, frame)

    def _hang_up(self, _number: int, _frame: FrameType | None) -> None:
        self.hung_up = True


class Server(uvicorn.Server):
    """Uvicorn's server for a single process."""

    def __init__(self, config: uvicorn.Config, signals: Signals) -> None:
        super().__init__(config)
        self._signals = signals

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Keep the handlers of `Signals`, which notify this server until it has ended."""
        self._signals.server = self
        yield

    async def on_tick(self, counter: int) -> bool:
        """Act on signals since the last tick; return whether the server ends."""
        if self._signals.hung_up:
            self._signals.hung_up = False
            logger.warning("SIGHUP is ignored by a service of one process: restart it to read its settings again")
        return await super().on_tick(counter)


class Workers(Multiprocess):
    """Uvicorn's parent of several processes; it starts them with Ctrl-C blocked until they can handle it."""

    def init_processes(self) -> None:
        with _without_interrupts():
            super().init_processes()

    def keep_subprocess_alive(self) -> None:
        with _without_interrupts():
            super().keep_subprocess_alive()

    def handle_signals(self) -> None:
        with _without_interrupts():
            super().handle_signals()


def begin_worker() -> None:
    """Unblock Ctrl-C in a process that `Workers` started; ignore SIGHUP, on which the parent replaces the process."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@contextmanager
def _without_interrupts() -> Generator[None, None, None]:
    # A new process inherits blocked signals; the parent gets those that came meanwhile at the end.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
