"""
Closes a connection whose client may still be sending.

Theory of operation
-------------------

RFC 9112, section 9.6: "If a server performs an immediate close of a TCP connection, there is a significant risk that the client
will not be able to read the last HTTP response."  TCP answers later bytes with RST, and the client then drops what it has not
read. So "servers typically close a connection in stages": the server closes its side after the answer, then reads and drops
what comes until the client closes its side, pauses for long, or has used up its time and bytes.

Many clients look for an answer only when they cannot write.  So most bytes are read at once, and the rest so slowly that the
client has to wait, and reads.

All such connections receive into one shared buffer, which is never read.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Protocol

KiB = 1024
MiB = 1024 * KiB
SECONDS = 1.0

# The bounds of nginx (lingering_time, lingering_timeout), and one of bytes besides.
LONGEST = 30 * SECONDS
SILENCE = 5 * SECONDS
MOST = 16 * MiB
# Bytes that are dropped at once; then one step at a time.
AT_ONCE = 8 * MiB
STEP = 1 * MiB
EVERY = 0.25 * SECONDS
# The time for clients while the server shuts down.
HURRY = 0.5 * SECONDS

_DROPPED = memoryview(bytearray(256 * KiB))


class ClosingProtocol(Protocol):
    """The HTTP protocol of a connection that ends."""

    def connection_lost(self, exc: Exception | None) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...


class Lingering(asyncio.BufferedProtocol):
    """The protocol of a connection after its last answer."""

    def __init__(self, host: ClosingProtocol, transport: asyncio.Transport) -> None:
        self._host = host
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._until = self._loop.time() + LONGEST
        self._received = self._seen = 0
        self._pause_at = AT_ONCE
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, *, hurry: bool) -> None:
        """Close our side once everything is written, and drop what comes; *hurry* while the server shuts down."""
        transport = self._transport
        transport.set_protocol(self)
        with suppress(NotImplementedError):  # TLS cannot close one side: the client finds the end of the answer by its length
            if transport.can_write_eof():
                transport.write_eof()
        transport.resume_reading()
        self._timer = self._loop.call_later(HURRY, transport.close) if hurry else self._loop.call_later(SILENCE, self._look)

    def hurry(self) -> None:
        """Close soon, because the server shuts down."""
        self._stop()
        self._timer = self._loop.call_later(HURRY, self._transport.close)

    # Called by the connection.

    def get_buffer(self, _sizehint: int) -> memoryview:
        return _DROPPED

    def buffer_updated(self, count: int) -> None:
        self._received += count
        if self._received < self._pause_at:
            return
        if self._received > MOST:
            self._stop()
            self._transport.close()
            return
        self._pause_at = self._received + STEP
        self._transport.pause_reading()
        self._loop.call_later(EVERY, self._go_on)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        self._host.connection_lost(exc)

    def pause_writing(self) -> None:
        self._host.pause_writing()

    def resume_writing(self) -> None:
        self._host.resume_writing()

    def _go_on(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _look(self) -> None:
        """Go on as long as something comes, within bounds; what the client has not read yet is bounded by the outlet."""
        self._timer = None
        if self._received == self._seen or self._loop.time() >= self._until:
            self._transport.close()
            return
        self._seen = self._received
        self._timer = self._loop.call_later(SILENCE, self._look)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
