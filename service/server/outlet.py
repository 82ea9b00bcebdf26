"""
The sending side of a connection: a transport as responses see it.

Theory of operation
-------------------

What is written waits in the transport until the client reads.  While too much waits, the application waits as well
(`pause_writing`).  It cannot see what is below that mark, nor what is left on closing, which never ends if the client does not
read.  So both are watched: if a client reads nothing at all for the idle timeout, its connection is aborted.  Watching begins
only when something waits, so an answer that is read at once costs nothing.

After the last answer of a connection, `holdfast.service.server.lingering` takes over if the client may still be sending.
"""

from __future__ import annotations

import asyncio
import fcntl
import sys
import termios
from collections.abc import Callable


class Outlet:
    """The sending side of *transport*; *patience* is how long a client may read nothing (seconds)."""

    __slots__ = ("_loop", "_patience", "_read", "_timer", "_transport", "_written", "close", "is_closing")

    def __init__(self, transport: asyncio.Transport, patience: float, close: Callable[[], None]) -> None:
        self._transport = transport
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._written = self._read = 0
        self._timer: asyncio.TimerHandle | None = None
        self.is_closing = transport.is_closing
        self.close = close
        """Closes the connection after the last answer."""

    def write(self, data: bytes) -> None:
        """Send *data* once the client reads."""
        self._written += len(data)
        self._transport.write(data)

    def watch(self) -> None:
        """Abort the connection if the client reads nothing for the idle timeout."""
        if self._timer is None and self._transport.get_write_buffer_size():
            self._read = self._has_read()
            self._timer = self._loop.call_later(self._patience, self._look)

    def unwatch(self) -> None:
        """Stop watching, after the connection has ended."""
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
        """Return how many bytes the client's system has acknowledged; the transport learns that in large steps only."""
        queued = fcntl.ioctl(self._transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
        return self._written - self._transport.get_write_buffer_size() - int.from_bytes(queued, sys.byteorder)
