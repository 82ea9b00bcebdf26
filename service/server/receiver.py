"""
The hand-off of content: the system writes received bytes straight into our buffers.

Theory of operation
-------------------

After the head of a request with a Content-Length there is nothing to parse: exactly that many bytes are content.  So while they
come, the connection has another protocol.  Uvicorn's makes way as it does for web sockets, by ``transport.set_protocol``, for a
`Receiver`, which is an `asyncio.BufferedProtocol`: the loop asks it for a buffer, receives into that, and reports how many
bytes came.  Nothing is copied or queued, and no task runs until a block is worth a write.

    Protocol (HTTP) ──ConnectionExtension.hand_over──▶ Receiver ──the last byte of the content──▶ Protocol, with a fresh parser

*Exactly.*  `get_buffer` never returns more than what remains of the content, so a pipelined request stays in the system until
the HTTP protocol reads it.  Bytes that the parser had received before the hand-off are in the cycle's body, and begin the first
block. The old parser still expects this content, so it is replaced, as lenient as uvicorn had made it.  From then on uvicorn
handles keep-alive, pipelining, disconnects and access logs again.

*Two buffers.*  One is filled while the reader has the other (*lent*), until it asks for the next.  If both are full, the disk
is slower than the network, and reading pauses.  Received bytes are *held* in one of two ways.  A few are copied to `_little`,
and the connection keeps no buffer (see `holdfast.service.asgi.receiving.buffers`).  Beyond that, the buffer that they were
received into is kept and filled up.

*Calls.*  The loop calls `get_buffer` and then immediately `buffer_updated`, so a shared spare buffer may be used in between.
An empty buffer would be an error, so a receiver that is done returns one, too.

*Ends.*  The receiver reports every event of the connection to the HTTP protocol, which uvicorn still knows: it counts among the
connections, is notified of a shutdown, and keeps the state of the request.  If the content does not end, because the client
disconnected or the request was refused, the receiver stays: the driver has sent ``Connection: close``.

All this works with the transports of asyncio and uvloop, also with TLS, where the decrypted content is written into our
buffers.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from uvicorn.protocols.http.flow_control import FlowControl

from holdfast.service.asgi.receiving.buffers import LITTLE, Buffers

NOTHING = memoryview(b"")


class ReceivingProtocol(Protocol):
    """The HTTP protocol that a receiver replaces for a while."""

    flow: FlowControl

    def content_came(self) -> None:
        """Become the protocol of the connection again, after the last byte of the content."""
        ...

    def eof_received(self) -> bool: ...
    def connection_lost(self, exc: Exception | None) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...


class Receiver(asyncio.BufferedProtocol):
    """
    A `holdfast.service.asgi.receiving.connection.Intake` that is the protocol of a connection while *remaining* bytes of
    content come, after *early* ones.
    """

    def __init__(self, host: ReceivingProtocol, buffers: Buffers, early: bytearray, remaining: int) -> None:
        self._host = host
        self._flow = host.flow
        self._buffers = buffers
        self._remaining = remaining
        self._little = early
        self._buffer: memoryview | None = None
        """The buffer that is kept and filled."""
        self._shown = NOTHING
        """The buffer that the loop receives into now."""
        self._lent: memoryview | None = None
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._eager = False
        """Whether the waiting reader wants every byte at once."""
        self._closed = False
        self.held = self.received = len(early)
        self.lost = False
        self.replaced = False
        """Whether another protocol drops the rest of the content."""
        if self.is_ready:
            self._flow.pause_reading()
        else:
            self._flow.resume_reading()

    @property
    def complete(self) -> bool:
        return not self._remaining

    @property
    def is_ready(self) -> bool:
        return not self._remaining or self.lost or self.held >= (LITTLE if self._buffer is None else len(self._buffer))

    # Called by the connection.

    def get_buffer(self, _sizehint: int) -> memoryview:
        shown = self._buffer
        if shown is None:
            shown = self._shown = self._buffers.spare() or self._buffers.little
        return shown[self.held : self.held + self._remaining]

    def buffer_updated(self, count: int) -> None:
        if self._closed:
            return
        start, self.held = self.held, self.held + count
        self.received += count
        self._remaining -= count
        if self._buffer is None:
            self._hold(start)
        if not self._remaining:
            self._host.content_came()
            self._wake()
        elif self.is_ready:
            self._flow.pause_reading()
            self._wake()
        elif self._eager:
            self._wake()

    def eof_received(self) -> bool:
        return self._host.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self._host.connection_lost(exc)
        self._wake()

    def pause_writing(self) -> None:
        self._host.pause_writing()

    def resume_writing(self) -> None:
        self._host.resume_writing()

    # Called by the reader.

    async def fill(self) -> None:
        self._recycle()
        if not self.is_ready:
            await self._wait()

    async def some(self) -> None:
        self._recycle()
        if not self.is_ready:
            self._eager = True
            try:
                await self._wait()
            finally:
                self._eager = False

    def take(self) -> memoryview:
        self._recycle()
        if self._buffer is None:
            block = memoryview(self._little)
            self._little = bytearray()
        else:
            block = self._buffer[: self.held]
            self._lent, self._buffer = self._buffer, None
        self.held = 0
        if self._remaining and not self.lost:
            self._flow.resume_reading()
        return block

    def take_rest(self) -> None:
        """Do nothing: everything that was received is held."""

    def interrupt(self) -> None:
        self._wake()

    def close(self) -> None:
        self._closed = True
        self._recycle()
        if self._buffer is not None:
            self._buffers.give_back(self._buffer)
            self._buffer = None
        self._little = bytearray()
        self.held = 0
        # If the connection lingers, that protocol drops the rest; otherwise it stays in the system until the connection closes.
        if self._remaining and not self.lost and not self.replaced:
            self._flow.pause_reading()

    def _hold(self, start: int) -> None:
        """Keep the bytes from *start* on; with them the buffer that they came into, if they are many."""
        shown, self._shown = self._shown, NOTHING
        if self.held < LITTLE or shown is self._buffers.little:
            self._little += shown[start : self.held]
            return
        self._buffers.keep(shown)
        shown[:start] = self._little
        self._little = bytearray()
        self._buffer = shown

    def _recycle(self) -> None:
        if self._lent is not None:
            lent, self._lent = self._lent, None
            self._buffers.give_back(lent)

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
