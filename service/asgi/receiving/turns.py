"""
Documents that are held whole in memory while they are received, and how much of them a process holds at once.

A document that finds no room waits for its turn, and is refused when that takes too long.  One client has a share of the room, so
that its documents wait for each other and not the documents of others for them.  A document that is larger than all the room, or
than the share, is taken when there is no other.
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
    """
    At most *budget* bytes of documents, at most *share* of them from one client; each waits *patience* seconds for room.
    """

    def __init__(self, patience: float, budget: int = BUDGET, share: int = SHARE) -> None:
        self._patience = patience
        self._budget = budget
        self._share = share
        self._held: Counter[Hashable] = Counter()
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def turn(self, client: Hashable | None, size: int) -> AsyncIterator[None]:
        """
        Hold room for *size* bytes; *client* is None where clients are not told apart.

        :raises ProtocolError: there is no room for so long.
        """
        try:
            async with asyncio.timeout(self._patience):
                while not self._has_room(client, size):
                    await self._freed.wait()
        except TimeoutError as error:
            message = "too many documents with images are on their way; try again in a moment"
            raise ProtocolError(503, "documents_waiting", message, (("Retry-After", RETRY_AFTER),)) from error
        self._held[client] += size
        try:
            yield
        finally:
            self._held[client] -= size
            self._held += Counter()  # forgets the clients that hold nothing
            self._freed.set()
            self._freed = asyncio.Event()

    def _has_room(self, client: Hashable | None, size: int) -> bool:
        held, own = self._held.total(), self._held[client] if client is not None else 0
        return (not held or held + size <= self._budget) and (not own or own + size <= self._share)
