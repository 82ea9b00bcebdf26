"""
The content of a request, as blocks: what ASGI's ``receive()`` delivers in messages is gathered to a size worth a system call.

A request waits in two places: here, for the client, and in the store, for the disk.  Only the first wait may be interrupted: when
a newer request wants the upload, when the process ends, or when nothing comes.  So an interruption is a flag, and only while the
task is inside ``receive()`` is it cancelled as well, in the way of `asyncio.timeout`.

Whoever stops content still gets what was received before: what the server holds, and, because a client that comes back at once is
often faster than our last look at its old connection, what the system holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from starlette.types import Message, Receive, Scope

from service.core.content import Stop

KiB = 1024
SECONDS = 1.0

BLOCK = 1024 * KiB
# Bytes that a slow client sent are passed on to the store after this long, and the memory of their block is given back.
LINGER = 1 * SECONDS
LOOK_EVERY = LINGER / 2
# When nothing comes for so long, whoever reads may do something else.
PAUSE = 5 * SECONDS
# Stopped content is taken as long as it comes without a wait, within these bounds.
DRAIN = 8 * 1024 * KiB
DRAIN_WAIT = 0.005 * SECONDS
DRAIN_TIME = 0.1 * SECONDS
NOTHING = memoryview(b"")
EXTENSION = "holdfast"


class Door(Protocol):
    """What `service.server` offers in ``scope["extensions"]``; with any other server content does without it."""

    on_shutdown: Callable[[], None] | None
    """Called when the server begins to shut down."""

    def remains(self) -> tuple[bytes, bool]:
        """
        Return what was received but not delivered, and whether that is the end of the content.
        """
        ...

    def abort(self) -> None:
        """
        Close the connection in the middle of a response.
        """
        ...


def door_of(scope: Scope) -> Door | None:
    """
    Return the door that the server offers, if it does.
    """
    door: Door | None = scope.get("extensions", {}).get(EXTENSION)
    return door


class RequestContent:
    """
    `service.core.content.Content` from ASGI messages.
    """

    def __init__(self, scope: Scope, receive: Receive, length: int | None, idle_timeout: float) -> None:
        self._receive = receive
        self._length = length
        self._idle_timeout = idle_timeout
        self._complete = length == 0
        self._received = 0
        self._stopped: Stop | None = None
        self._block: bytearray | None = None
        self._start = self._end = 0
        self._carry = NOTHING
        """What did not fit into the block."""
        self._waiting: asyncio.Task[Any] | None = None
        self._interrupted = False
        self._since = self._begun = 0.0
        """When the wait, and the block, began (seconds of the loop's clock)."""
        self._drain = DRAIN
        self._drain_until: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._door = door_of(scope)
        self.asked = False
        """Whether the client was told to send its content (Expect: 100-continue)."""
        if self._door is not None:
            self._door.on_shutdown = lambda: self.stop(Stop.SHUTDOWN)

    @property
    def length(self) -> int | None:
        return self._length

    @property
    def ended(self) -> bool:
        return self._complete and self._start == self._end and not self._carry

    @property
    def stopped(self) -> Stop | None:
        return None if self._complete else self._stopped

    async def read(self, limit: int) -> memoryview:
        if self._start == self._end:
            await self._fill()
        if self._block is None or self._start == self._end:
            return NOTHING
        start, self._start = self._start, min(self._end, self._start + limit)
        return memoryview(self._block)[start : self._start]

    def stop(self, why: Stop) -> None:
        if self._stopped is None:
            self._stopped = why
        self._interrupt()

    async def discard(self, limit: int, seconds: float) -> None:
        """
        Read and forget up to *limit* bytes for up to *seconds*, so that a client which still sends sees its answer.
        """
        self._start, self._carry = self._end, NOTHING
        try:
            async with asyncio.timeout(seconds):
                while limit > 0 and not self._complete:
                    message = await self._receive()
                    if message["type"] == "http.disconnect":
                        break  # from now on it comes again and again, without a wait
                    limit -= len(self._understand(message))
        except TimeoutError:
            pass

    def close(self) -> None:
        """
        Give back what the content holds.
        """
        if self._timer is not None:
            self._timer.cancel()
        if self._door is not None:
            self._door.on_shutdown = None
        self._block = None
        self._start = self._end = 0

    async def _fill(self) -> None:
        """Gather a block; less when the content ends, stops or lingers."""
        if self._block is None:
            self._block = bytearray(BLOCK)
        self._start = self._end = 0
        self._take(self._carry)
        while self._end < BLOCK and not self._complete:
            message = await (self._next() if self._stopped is None else self._soon())
            if message is not None:
                self._take(self._understand(message))
            elif self._stopped is None or self._drain <= 0:
                break  # there is a pause, or nothing more is on its way
        if self._stopped is not None and not self._complete and self._end < BLOCK:
            self._take_remains()
        if not self._end:
            self._block = None

    async def _soon(self) -> Message | None:
        """Return the next message if it is on its way already; None when there is none."""
        now = asyncio.get_running_loop().time()
        if self._drain_until is None:
            self._drain_until = now + DRAIN_TIME
        if self._stopped in (Stop.DISCONNECTED, Stop.IDLE) or now >= self._drain_until:
            self._drain = 0
        if self._drain <= 0:
            return None
        try:
            async with asyncio.timeout(DRAIN_WAIT):
                message = await self._receive()
        except TimeoutError:
            self._drain = 0
            return None
        if message["type"] == "http.disconnect":
            self._drain = 0
            return None
        self._drain -= len(message.get("body", b""))
        return message

    async def _next(self) -> Message | None:
        """Return the next message; None when waiting for it was interrupted."""
        self.asked = True
        task = self._waiting = asyncio.current_task()
        if task is None:
            raise RuntimeError("content is read by a task")
        loop = task.get_loop()
        self._since = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(LOOK_EVERY, self._tick, loop)
        try:
            return await self._receive()
        except asyncio.CancelledError:
            if self._interrupted and task.uncancel() == 0:
                return None
            raise
        finally:
            self._waiting = None
            self._interrupted = False

    def _understand(self, message: Message) -> memoryview:
        if message["type"] == "http.disconnect":
            if self._stopped is None:
                self._stopped = Stop.DISCONNECTED
            return NOTHING
        body = message.get("body", b"")
        self._received += len(body)
        if not message.get("more_body", False):
            # No server of ours says so before the announced length; what cannot be is not success.
            self._complete = self._received >= (self._length or 0)
            self._stopped = self._stopped if self._complete else Stop.DISCONNECTED
        return memoryview(body)

    def _take(self, data: memoryview) -> None:
        if self._block is None:
            return
        if not self._end:
            self._begun = self._since
        fits = min(len(data), BLOCK - self._end)
        self._block[self._end : self._end + fits] = data[:fits]
        self._end += fits
        self._carry = data[fits:]

    def _take_remains(self) -> None:
        """Keep what the server had received already: it was paid for, perhaps with mobile data."""
        if self._door is not None and not self._carry:
            data, self._complete = self._door.remains()
            self._take(memoryview(data))

    def _interrupt(self) -> None:
        if self._waiting is not None and not self._interrupted:
            self._interrupted = True
            self._waiting.cancel()

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(LOOK_EVERY, self._tick, loop)
        if self._waiting is None:
            return
        now = loop.time()
        if now - self._since >= self._idle_timeout:
            self.stop(Stop.IDLE)
        elif now - (self._begun if self._end else self._since) >= (LINGER if self._end else PAUSE):
            self._interrupt()
