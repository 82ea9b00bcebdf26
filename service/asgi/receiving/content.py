"""
The content of a request as the core sees it: blocks, an end, and perhaps a reason why it ended before.

Where the bytes come from is for the `Intake`: straight from the connection, where the server hands it over, else from ASGI
messages.  The floors above do not know which.

A request waits in two places: here, for the client, and in the store, for the disk.  Only the first wait may be interrupted: when
a newer request wants the upload, when the process ends, or when nothing comes.

Content that was stopped still delivers what was received before: what the server holds, and, because a client that comes back at
once is often faster than our last read from its old connection, what the system holds.
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

# Bytes that a slow client sent go to the store after so many checks, whatever their block's size.
LINGER = 3
# When nothing comes for so many checks, the reader may do something else.
PAUSE = 10
# Stopped content is taken as long as it comes without a wait, within these bounds.
DRAIN = 8 * MiB
DRAIN_WAIT = 0.005 * SECONDS
DRAIN_TIME = 0.1 * SECONDS


class RequestContent:
    """
    `holdfast.service.core.content.content.Content` of a request.
    """

    def __init__(self, scope: Scope, receive: Receive, length: int | None, timers: ReceiveTimers) -> None:
        self._headers = scope["headers"]
        self._receive = receive
        self._length = length
        self._timers = timers
        self.extension = extension_of(scope)
        self._intake: Intake | None = None
        self._stopped: Stop | None = None
        self._block = NOTHING
        """What was taken and not read yet."""
        self._drain = DRAIN
        self._drain_until: float | None = None
        self._waiting = False
        # Counted in checks; only those at which we wait for the client count.
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
        """Whether the server itself reads and drops what is still sent behind the answer."""
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
        """
        Read and forget up to *limit* bytes for up to *seconds*, so that a client which still sends sees its answer.
        """
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
        """
        Give back what the content holds.
        """
        if self.extension is not None:
            self.extension.on_shutdown = None
        self._block = NOTHING
        if self._intake is not None:
            self._timers.unwatch(self)
            self._intake.close()

    def check(self) -> None:
        """
        See whether the client still sends, and whether what it sent has waited for more long enough.
        """
        intake = self._intake
        if intake is None or not self._waiting:
            return  # the store is at work, not the client
        self._quiet = self._quiet + 1 if intake.received == self._seen else 0
        self._seen = intake.received
        self._lingered = self._lingered + 1 if intake.held else 0
        if self._quiet * self._timers.check_every >= self._timers.idle_timeout or self._is_too_slow(intake):
            self.stop(Stop.IDLE)
        elif self._lingered >= LINGER or (self._quiet and not self._quiet % PAUSE):
            intake.interrupt()

    def _is_too_slow(self, intake: Intake) -> bool:
        """Say whether too little came in the time in which we waited for the client; then begin to count again."""
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
                intake.take_rest()  # it came with the head: no need to wait for messages
        self._intake = intake
        return intake

    async def _next(self, intake: Intake) -> memoryview:
        """Return the next block; less when the content ends, stops or lingers."""
        if self._stopped is None:
            await self._wait(intake)
        self._stopped = self.stopped
        if self._stopped is not None:
            await self._take_what_comes(intake)
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

    async def _take_what_comes(self, intake: Intake) -> None:
        """Hold what was on its way when the content was stopped."""
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
