"""
Content without a wire.
"""

from __future__ import annotations

import asyncio

from holdfast.service.core.content.content import Stop

SPOILED = 0xEE


class FakeContent:
    """
    `holdfast.service.core.content.content.Content` of bytes that are here already.

    *length* is what was announced; with *chunked* nothing was.  With *cut*, content ends after its bytes for that reason, and not
    by its own word.  At *hold_at* bytes it waits, until it may `go_on` or is stopped.
    """

    def __init__(
        self,
        data: bytes = b"",
        *,
        length: int | None = None,
        chunked: bool = False,
        cut: Stop | None = None,
        block: int = 65_536,
        hold_at: int | None = None,
        is_awaited: bool = False,
    ) -> None:
        self._is_awaited = is_awaited
        self._data = data
        self._length = None if chunked else len(data) if length is None else length
        self._cut = cut
        self._block = block
        self._hold_at = hold_at
        self._read = bytearray()
        self._at = 0
        self._stopped: Stop | None = None
        self._go_on = asyncio.Event()
        self.held = asyncio.Event()
        """Set while the content waits at *hold_at*."""
        if not data and cut is not None:
            self._stopped = cut

    @property
    def length(self) -> int | None:
        return self._length

    @property
    def is_awaited(self) -> bool:
        return self._is_awaited

    @property
    def ended(self) -> bool:
        return self._at == len(self._data) and self._cut is None

    @property
    def stopped(self) -> Stop | None:
        return None if self.ended else self._stopped

    async def read(self, limit: int) -> memoryview:
        self._read[:] = bytes([SPOILED]) * len(self._read)  # the block before is no longer valid
        if self._at == self._hold_at and not self._go_on.is_set():
            self.held.set()
            await self._go_on.wait()
        end = min(len(self._data), self._at + min(limit, self._block))
        if self._hold_at is not None and self._at < self._hold_at:
            end = min(end, self._hold_at)
        if self._stopped is not None:
            end = self._at
        self._read = bytearray(self._data[self._at : end])
        self._at = end
        if self._at == len(self._data) and self._cut is not None and self._stopped is None:
            self._stopped = self._cut
        return memoryview(self._read)

    def stop(self, why: Stop) -> None:
        if self._stopped is None:
            self._stopped = why
        self._go_on.set()

    def go_on(self) -> None:
        """Let the held bytes come."""
        self._go_on.set()


class PausingContent(FakeContent):
    """
    Content that says once, at *pause_at* bytes, that nothing has come for a while, and then waits there until it may `go_on`.

    At its full length, only its end is still to come.
    """

    def __init__(self, data: bytes, *, pause_at: int, chunked: bool = False) -> None:
        super().__init__(data, chunked=chunked, hold_at=pause_at)
        self._paused = False

    @property
    def ended(self) -> bool:
        return super().ended and self._go_on.is_set()

    async def read(self, limit: int) -> memoryview:
        if self._at == self._hold_at and not self._paused:
            self._paused = True
            return memoryview(b"")
        return await super().read(limit)
