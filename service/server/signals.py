"""
SIGTERM, SIGINT and SIGHUP, from the first moment on.

Theory of operation
-------------------

An exception that a signal handler raises can vanish: it appears wherever the program is just then, perhaps in a callback whose
exceptions are printed and forgotten.  So no handler here raises.

* Until the server serves there is nothing to end in order: it has taken no request, and every store survives a kill.  The handler
  ends the process itself, so that a store which does not answer delays nothing.
* From then on the handler leaves a note, and the event loop reads it at its next tick, a tenth of a second later at most.

Either way the exit status is 0: whoever asks the service to end gets what they asked for, by SIGTERM or by Ctrl-C.
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
    """
    What signals ask of this process.
    """

    def __init__(self) -> None:
        self.server: uvicorn.Server | None = None
        """Who ends in order, once it serves."""
        self.hung_up = False

    def listen(self) -> None:
        """
        Hear signals from now on; only the main thread of a process can.
        """
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
    """
    Uvicorn's server for a process that serves alone.
    """

    def __init__(self, config: uvicorn.Config, signals: Signals) -> None:
        super().__init__(config)
        self._signals = signals

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """
        Let the handlers that are there already speak to this server, to the end and beyond it.
        """
        self._signals.server = self
        yield

    async def on_tick(self, counter: int) -> bool:
        """
        Do what signals asked for since the last tick; return whether the server ends.
        """
        if self._signals.hung_up:
            self._signals.hung_up = False
            logger.warning("SIGHUP is ignored by a service of one process; start it again, and it reads its settings anew")
        return await super().on_tick(counter)


class Workers(Multiprocess):
    """
    Uvicorn's parent of several processes: it notes signals, and starts processes that hear Ctrl-C only when they can end by it.
    """

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
    """
    Hear Ctrl-C again, in a process that `Workers` has started; leave SIGHUP to the parent, which replaces it by another.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@contextmanager
def _without_interrupts() -> Generator[None, None, None]:
    # A new process begins with what its parent blocks; the parent itself hears what came meanwhile at the end.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
