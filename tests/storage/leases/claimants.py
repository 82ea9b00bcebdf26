"""
Those who want a lease, by one of two doors.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from holdfast.storage.ports.leases import Lease, Leases
from holdfast.storage.records import Key, Ref
from tests.storage.backends import TENANT

KEY = Key("0123456789")
REF = Ref(tenant=TENANT, key=KEY)
LONG = 10.0  # seconds; only a test that fails waits that long
SHORT = 0.1
Doors = Sequence[Leases]


class Claimant:
    """Somebody who wants a lease by one of the doors, and counts how often it is told to let go."""

    def __init__(self, extension: Leases, key: Key = KEY) -> None:
        self._extension = extension
        self._ref = Ref(tenant=TENANT, key=key)
        self.busy = False
        """Whether it answers that it is at work, and will let go by itself."""
        self.told = 0
        self.asked = asyncio.Event()

    def _evicted(self) -> bool:
        self.told += 1
        self.asked.set()
        return self.busy

    async def acquire(self, wait: float = LONG) -> Lease:
        """Take the lease."""
        async with asyncio.timeout(2 * LONG):
            return await self._extension.acquire(self._ref, self._evicted, wait)

    def acquiring(self, wait: float = LONG) -> asyncio.Task[Lease]:
        """Begin to take the lease."""
        return asyncio.create_task(self.acquire(wait))

    async def release(self, lease: Lease, *, fenced: bool = True) -> None:
        """Let go."""
        await self._extension.release(lease, fenced=fenced)

    async def until_asked(self) -> None:
        """Wait for the newcomer."""
        async with asyncio.timeout(LONG):
            await self.asked.wait()


async def held(doors: Doors, ref: Ref = REF) -> set[bool]:
    """Return what the doors say of the lease; they have to agree."""
    return {await extension.held(ref) for extension in doors}
