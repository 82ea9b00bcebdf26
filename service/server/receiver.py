"""
The hand-off of content: the system writes what comes straight into our buffers.

Theory of operation
-------------------

Between the head of a request and the next head there is nothing to be parsed: with a Content-Length, exactly so many bytes are
content.  So for their time the connection gets another protocol.  Uvicorn's makes way as it does for web sockets, by
``transport.set_protocol``, for a `Receiver`, which is an `asyncio.BufferedProtocol`: the loop asks it for a buffer, receives into
that, and tells how much came.  No copy is made, nothing is queued, and no task runs until a block is worth a write.

    Protocol (HTTP) ──ConnectionExtension.hand_over──▶ Receiver ──the last byte of the content──▶ Protocol, with a fresh parser

*Exactly.*  `get_buffer` never returns more than what remains of the content, so whatever is pipelined behind it stays in the
system until the HTTP protocol reads it.  What the parser had received before the hand-off is in the cycle's body; it becomes the
beginning of the first block.  The old parser still waits for this content, so it is replaced, as lenient as uvicorn had made it.
Keep-alive, pipelining, ends of connections and access logs are uvicorn's again from then on, and never noticed.

*Two buffers.*  One is filled while the reader has the other (*lent*), until it asks for the next.  If both are full the
connection pauses: then the disk is slower than the network.  What has come is *held* by one of two means.  As long as it is
little, it is copied to `_little`, and the connection keeps no buffer; see `holdfast.service.asgi.receiving.buffers`.  Beyond
that the buffer that it
was received into is kept, and filled up.

*Calls.*  The loop calls `get_buffer` and at once, with nothing else between, `buffer_updated`; that is why a buffer of nobody's
may be shown to it.  An empty buffer would be an error, so even a receiver that is done has one to show.

*Ends.*  Whatever happens to the connection is told to the HTTP protocol as well, which still is the one that uvicorn knows: it
counts among the connections, hears of a shutdown, and keeps the state of the request.  If the content does not end, because the
client went away or the request was refused in the middle, nobody switches back: the driver has said ``Connection: close``.

Everything here works alike with asyncio's transports, uvloop's, and those of both for TLS, where it is the decrypted content that
is written into our buffers.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from uvicorn.protocols.http.flow_control import FlowControl

from holdfast.service.asgi.receiving.buffers import LITTLE, Buffers

NOTHING = memoryview(b"")


class ReceivingProtocol(Protocol):
    """The HTTP protocol that a receiver stands in for."""

    flow: FlowControl

    def content_came(self) -> None:
        """
        Be the protocol of the connection again: the last byte of the content has come.
        """
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
        """What is kept and filled."""
        self._shown = NOTHING
        """What the loop receives into just now."""
        self._lent: memoryview | None = None
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._eager = False
        """Whether whoever waits wants to know of every byte."""
        self._closed = False
        self.held = self.received = len(early)
        self.lost = False
        self.replaced = False
        """Whether the connection has another protocol, which drops the rest of the content."""
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

    # What the connection calls

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

    # What the reader calls

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
        """There is no rest: what was received is held."""

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
        # Where the connection lingers, another drops the rest; elsewhere it stays in the system until the connection is closed.
        if self._remaining and not self.lost and not self.replaced:
            self._flow.pause_reading()

    def _hold(self, start: int) -> None:
        """Keep what came from *start* on, and with it the buffer that it came into, if it is worth it."""
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
