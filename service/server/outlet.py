"""
Where answers go out: a transport as a response sees it.

Theory of operation
-------------------

Whatever is written waits in the transport until the client reads.  The application waits as well while too much waits there
(`pause_writing`), but it cannot see the rest: what is below that mark, and what is left when a connection is being closed, which
has no end while the client does not read.  So both are watched: when a client has read nothing at all for the idle timeout, its
connection is cut.  Watching begins only where something waits, so an answer that is read at once costs nothing.

The last answer of a connection is followed by `holdfast.service.server.lingering` where the client may still be sending.
"""

from __future__ import annotations

import asyncio
import fcntl
import sys
import termios
from collections.abc import Callable


class Outlet:
    """
    The side of *transport* that answers are written to; *patience* is how long a client may read nothing (seconds).
    """

    __slots__ = ("_loop", "_patience", "_read", "_timer", "_transport", "_written", "close", "is_closing")

    def __init__(self, transport: asyncio.Transport, patience: float, close: Callable[[], None]) -> None:
        self._transport = transport
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._written = self._read = 0
        self._timer: asyncio.TimerHandle | None = None
        self.is_closing = transport.is_closing
        self.close = close
        """What ends the connection behind the last answer."""

    def write(self, data: bytes) -> None:
        """
        Send *data* as soon as the client reads.
        """
        self._written += len(data)
        self._transport.write(data)

    def watch(self) -> None:
        """
        Cut the connection when the client goes on reading nothing.
        """
        if self._timer is None and self._transport.get_write_buffer_size():
            self._read = self._has_read()
            self._timer = self._loop.call_later(self._patience, self._look)

    def unwatch(self) -> None:
        """
        Watch no more: the connection is gone.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._has_read() > self._read or not self._transport.get_write_buffer_size():
            self.watch()
        else:
            self._transport.abort()

    def _has_read(self) -> int:
        """Return how many bytes the system of the client has taken; the transport hears of that in large steps only."""
        queued = fcntl.ioctl(self._transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
        return self._written - self._transport.get_write_buffer_size() - int.from_bytes(queued, sys.byteorder)
