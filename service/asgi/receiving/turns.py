"""
Bounds the memory of documents that a process holds whole while it receives them.

A document without room waits, and is refused after a timeout.  Each client has a share of the room, so that its documents delay
each other rather than those of other clients.  A document larger than the room or the share is accepted when it is the only one.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

from holdfast.service.protocols.http.wire import RETRY_AFTER, ProtocolError

MiB = 1024 * 1024
BUDGET = 64 * MiB
SHARE = BUDGET // 4


class Turns:
    """At most *budget* bytes of documents, at most *share* bytes per client; each waits up to *patience* seconds."""

    def __init__(self, patience: float, budget: int = BUDGET, share: int = SHARE) -> None:
        self._patience = patience
        self._budget = budget
        self._share = share
        self._held: Counter[Hashable] = Counter()
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def turn(self, client: Hashable | None, size: int) -> AsyncIterator[None]:
        """
        Hold room for *size* bytes; *client* is None if clients are anonymous.

        :raises ProtocolError: 503, no room became free in time.
        """
        try:
            async with asyncio.timeout(self._patience):
                while not self._has_room(client, size):
                    await self._freed.wait()
        except TimeoutError as error:
            message = "the server is receiving too many documents with images; try again in a moment"
            raise ProtocolError(503, "documents_waiting", message, (("Retry-After", RETRY_AFTER),)) from error
        self._held[client] += size
        try:
            yield
        finally:
            self._held[client] -= size
            self._held += Counter()  # drops the clients that hold nothing
            self._freed.set()
            self._freed = asyncio.Event()

    def _has_room(self, client: Hashable | None, size: int) -> bool:
        held, own = self._held.total(), self._held[client] if client is not None else 0
        return (not held or held + size <= self._budget) and (not own or own + size <= self._share)
