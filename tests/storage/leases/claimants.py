"""Claimants of a lease, by the leases of one process or of two."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from holdfast.storage.ports.leases import Lease, Leases
from holdfast.storage.records import Key, Ref
from tests.storage.backends import TENANT
from tests.storage.processes import Worker

KEY = Key("0123456789")
REF = Ref(tenant=TENANT, key=KEY)
LONG = 10.0  # seconds; only a test that fails waits that long
SHORT = 0.1
Doors = Sequence[Leases]


class Claimant:
    """Somebody who wants a lease by one of the doors, and counts how often it is told to let go."""

    def __init__(self, leases: Leases, key: Key = KEY) -> None:
        self._leases = leases
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
            return await self._leases.acquire(self._ref, self._evicted, wait)

    def acquiring(self, wait: float = LONG) -> asyncio.Task[Lease]:
        """Begin to take the lease."""
        return asyncio.create_task(self.acquire(wait))

    async def release(self, lease: Lease, *, fenced: bool = True) -> None:
        """Let go."""
        await self._leases.release(lease, fenced=fenced)

    async def until_asked(self) -> None:
        """Wait for the newcomer."""
        async with asyncio.timeout(LONG):
            await self.asked.wait()


async def held(doors: Doors, ref: Ref = REF) -> set[bool]:
    """Return what the doors say of the lease; they have to agree."""
    return {await leases.held(ref) for leases in doors}


async def holding(holder: Worker) -> int:
    """Wait until *holder* has its lease, and return the epoch."""
    said, epoch, forced = (await holder.line()).split(" ")

    assert ("acquired", "False") == (said, forced)
    return int(epoch)


async def timed(leases: Leases, wait: float) -> tuple[bool, float, int]:
    """Take the lease; return whether it is forced, the seconds that it took, and its epoch."""
    begun = time.monotonic()
    lease = await leases.acquire(REF, lambda: None, wait)
    return lease.forced, time.monotonic() - begun, lease.epoch
