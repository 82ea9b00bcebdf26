"""
The content of a request as the core reads it: blocks, an end, and a reason if it ended early.

The bytes come from an `Intake`: straight from the connection if the server allows it, else from ASGI messages.

A request waits for the client (here) and for the disk (in the store).  Only the first may be interrupted: when a newer request
wants the upload, when the process shuts down, or when the client sends nothing.

Stopped content still delivers the bytes that the server or the system received before.  A client that reconnects at once is often
faster than the last read from its old connection.
"""

from __future__ import annotations

import asyncio

from starlette.types import Receive, Scope

from holdfast.service.asgi.receiving.connection import Intake, extension_of
from holdfast.service.asgi.receiving.messages import NOTHING, Messages
from holdfast.service.asgi.receiving.timers import ReceiveTimers
from holdfast.service.core.content.content import Stop

KiB = 1024
MiB = 1024 * KiB
SECONDS = 1.0

# After this many checks, held bytes go to the store, even if they do not fill a block.
LINGER = 3
# After this many checks without new bytes, `read` returns, so that the reader can do something else.
PAUSE = 10
# Bounds for reading what is still arriving when content is stopped.
DRAIN = 8 * MiB
DRAIN_WAIT = 0.005 * SECONDS
DRAIN_TIME = 0.1 * SECONDS


class RequestContent:
    """`holdfast.service.core.content.content.Content` of a request."""

    def __init__(self, scope: Scope, receive: Receive, length: int | None, timers: ReceiveTimers) -> None:
        self._headers = scope["headers"]
        self._receive = receive
        self._length = length
        self._timers = timers
        self.extension = extension_of(scope)
        self._intake: Intake | None = None
        self._stopped: Stop | None = None
        self._block = NOTHING
        """Bytes taken from the intake and not yet read."""
        self._drain = DRAIN
        self._drain_until: float | None = None
        self._waiting = False
        # Counts of checks during which the server waited for the client.
        self._seen = self._quiet = self._lingered = 0
        self._waited = self._mark = 0
        if self.extension is not None:
            self.extension.on_shutdown = lambda: self.stop(Stop.SHUTDOWN)

    @property
    def length(self) -> int | None:
        return self._length

    @property
    def ended(self) -> bool:
        intake = self._intake
        if intake is None:
            return self._length == 0
        return intake.complete and not intake.held and not self._block

    @property
    def is_awaited(self) -> bool:
        return not self.asked and any(name == b"expect" for name, _ in self._headers)

    @property
    def stopped(self) -> Stop | None:
        if self._intake is None:
            return None if self._length == 0 else self._stopped
        if self._intake.complete:
            return None
        if self._stopped is None and self._intake.lost:
            return Stop.DISCONNECTED
        return self._stopped

    @property
    def is_dropped(self) -> bool:
        """Whether the server itself discards what the client still sends after the response."""
        return self.extension is not None

    @property
    def asked(self) -> bool:
        """Whether the server has asked the client for its content (Expect: 100-continue)."""
        return self._intake is not None

    async def read(self, limit: int) -> memoryview:
        if not self._block:
            if self.ended:
                return NOTHING
            self._block = await self._next(self._intake or self._open())
        block, self._block = self._block[:limit], self._block[limit:]
        return block

    def stop(self, why: Stop) -> None:
        if self._stopped is None:
            self._stopped = why
        if self._intake is not None:
            self._intake.interrupt()

    async def discard(self, limit: int, seconds: float) -> None:
        """Read and discard up to *limit* bytes for up to *seconds*, so that a client that still sends reads the response."""
        if self.ended:
            return
        self._block = NOTHING
        intake = self._intake or self._open()
        try:
            async with asyncio.timeout(seconds):
                limit -= len(intake.take())
                while limit > 0 and not intake.complete and not intake.lost:
                    await intake.some()
                    limit -= len(intake.take())
        except TimeoutError:
            pass

    def close(self) -> None:
        """Release the buffers."""
        if self.extension is not None:
            self.extension.on_shutdown = None
        self._block = NOTHING
        if self._intake is not None:
            self._timers.unwatch(self)
            self._intake.close()

    def check(self) -> None:
        """Stop content that is idle or too slow; hand held bytes to the reader if they have waited long enough."""
        intake = self._intake
        if intake is None or not self._waiting:
            return  # waiting for the store, not for the client
        self._quiet = self._quiet + 1 if intake.received == self._seen else 0
        self._seen = intake.received
        self._lingered = self._lingered + 1 if intake.held else 0
        if self._quiet * self._timers.check_every >= self._timers.idle_timeout or self._is_too_slow(intake):
            self.stop(Stop.IDLE)
        elif self._lingered >= LINGER or (self._quiet and not self._quiet % PAUSE):
            intake.interrupt()

    def _is_too_slow(self, intake: Intake) -> bool:
        """Say whether the client sent too little while the server waited for it; each idle timeout is measured anew."""
        self._waited += 1
        seconds = self._waited * self._timers.check_every
        if seconds < self._timers.idle_timeout:
            return False
        came, self._mark, self._waited = intake.received - self._mark, intake.received, 0
        return came < self._timers.min_rate * seconds

    def _open(self) -> Intake:
        extension = self.extension
        intake: Intake | None = None
        if extension is not None and self._length is not None and not extension.has_all:
            intake = extension.hand_over(self._length, self._timers.buffers)
        if intake is None:
            intake = Messages(self._receive, self._length, extension)
            if extension is not None and extension.has_all:
                intake.take_rest()  # it arrived with the head
        self._intake = intake
        return intake

    async def _next(self, intake: Intake) -> memoryview:
        """Return the next block; a shorter one if the content ends, stops or is slow."""
        if self._stopped is None:
            await self._wait(intake)
        self._stopped = self.stopped
        if self._stopped is not None:
            await self._receive_rest(intake)
        return intake.take()

    async def _wait(self, intake: Intake) -> None:
        self._waiting = True
        self._lingered = 0
        try:
            if not intake.is_ready:
                self._timers.watch(self)
            await intake.fill()
        finally:
            self._waiting = False

    async def _receive_rest(self, intake: Intake) -> None:
        """Receive the bytes that were in flight when the content was stopped."""
        loop = asyncio.get_running_loop()
        if self._drain_until is None:
            self._drain_until = loop.time() + DRAIN_TIME
        if self._stopped in (Stop.DISCONNECTED, Stop.IDLE):
            self._drain = 0
        try:
            while self._drain > 0 and not intake.is_ready and loop.time() < self._drain_until:
                before = intake.received
                async with asyncio.timeout(DRAIN_WAIT):
                    await intake.some()
                self._drain -= intake.received - before
        except TimeoutError:
            self._drain = 0
        if not intake.is_ready or intake.lost:
            intake.take_rest()
