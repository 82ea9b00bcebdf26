"""
Leases between processes on many machines, in a Redis.

How claimants take leases from each other is `holdfast.storage.leases.claims`.  Here a row is a hash beside the records of its
tenant, and messages are published: the script that writes a new claimant into the row also asks the holder to let go.

No process can tell whether another one is dead or cut off.  So a row says *until* when its claimant is believed to be alive, by
the clock of Redis, and each live process extends that for all its claims.  A claimant whose time is over, or whose channel has
no subscriber, is fenced off at once; the new lease is then forced, since that claimant may still be running.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from holdfast.storage.errors import StorageError
from holdfast.storage.leases.claims import Claim, Claims
from holdfast.storage.leases.rows import Found
from holdfast.storage.ports.leases import Lease
from holdfast.storage.records import Ref
from holdfast.storage.redis.client import Call, Name, RedisClient, Script
from holdfast.storage.redis.mailbox import Mailbox
from holdfast.storage.redis.names import RedisNames
from holdfast.storage.threads import stopped

SECONDS = 1.0
MILLISECONDS = 1000
DAYS = 24 * 60 * 60
LIFE = 15 * SECONDS
# A row that was never fenced keeps a forced lease on record; no holder stays unresponsive for longer than this.
KEEP = 30 * DAYS
REPEAT = 0.1 * SECONDS
# On a busy network, through two nodes of a Cluster.
ANSWER = 0.3 * SECONDS

# A deletion needs the lease first, also when the memory of Redis is full.
CLAIM, GIVE_BACK, CLEAR_BEHIND, FORGET, RENEW, HOLD = (
    Script(name, frees=True) for name in ("claim", "give_back", "clear_behind", "forget", "renew", "hold")
)
STATUS = Script("status")


class RedisLeases:
    """
    `holdfast.storage.ports.Leases` for all processes that use the same Redis.

    A claimant that is not renewed for *life* seconds counts as unresponsive; its process renews it three times as often.
    """

    def __init__(self, redis_client: RedisClient, names: RedisNames, life: float = LIFE) -> None:
        self.redis_client = redis_client
        self._names = names
        self._mailbox = Mailbox(redis_client, names.processes)
        self._renew_every = life / 3
        self._renewing: asyncio.Task[None] | None = None
        self.rows = RedisRows(redis_client, names, life)
        self.claims = Claims(self, self.rows, self._mailbox, REPEAT, ANSWER)
        redis_client.join()

    async def acquire(self, ref: Ref, evicted: Callable[[], object], wait: float) -> Lease:
        await self.open()
        return await self.claims.take(self.claims.enter(ref, evicted), wait)

    async def release(self, lease: Lease, *, fenced: bool = True) -> None:
        await self.claims.release(lease, fenced=fenced)

    async def held(self, ref: Ref) -> bool:
        _, held, _ = await self.rows.read(ref)
        return held

    async def open(self) -> None:
        """
        Return once this process receives messages for its claims.

        :raises Unavailable: it cannot subscribe.
        """
        await self._mailbox.open(self.claims.process, self.claims.receive)
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._renew())

    async def ping(self) -> None:
        await self.open()
        await self.redis_client.call("SET", self._names.ping, "pong")

    async def close(self) -> None:
        if self._renewing is not None:
            await stopped(self._renewing)
        await self._mailbox.close()
        await self.redis_client.leave()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._renew_every)
            await self.redis_client.refresh_primary()
            claims = self.claims.in_rows()
            with suppress(StorageError):  # the next renewal will do
                for mine, successor in zip(claims, await self.rows.renew(claims), strict=True):
                    if successor is not None:
                        self.claims.evict(mine)  # its message may be lost, and this process fenced off
            await self._mailbox.check()


class RedisRows:
    """
    `holdfast.storage.leases.claims.Rows` in a Redis; *life* is how many seconds an unrenewed claimant is believed to be alive.
    """

    def __init__(self, redis_client: RedisClient, names: RedisNames, life: float) -> None:
        self._redis = redis_client
        self._names = names
        self._times = (int(life * MILLISECONDS), int(KEEP * MILLISECONDS))

    async def read(self, ref: Ref) -> tuple[bytes | None, bool, str]:
        """
        Return the document of an upload, whether a claimant that is believed to be alive has its lease, and the failover epoch.
        """
        document, held, failover_epoch = await self._redis.run(STATUS, [self._names.record(ref), self._names.lease(ref)])
        return document, bool(held), failover_epoch.decode()

    async def hold(self, ref: Ref, name: str) -> tuple[bytes | None, int, str]:
        """
        Take the lease for *name* if it is free; return the document of the upload, the epoch (0 if the lease was not taken), and
        the failover epoch.
        """
        keys: list[Name] = [self._names.record(ref), self._names.lease(ref), self._names.epoch(ref.tenant)]
        try:
            document, epoch, failover_epoch = await self._redis.run(HOLD, keys, [name, *self._times])
        except StorageError:
            await self._withdraw(ref, name)
            raise
        return document, epoch, failover_epoch.decode()

    async def swap(self, ref: Ref, name: str) -> Found:
        keys: list[Name] = [self._names.lease(ref), self._names.epoch(ref.tenant)]
        try:
            epoch, *before = await self._redis.run(CLAIM, keys, [name, *self._times, self._names.processes])
        except StorageError:
            await self._withdraw(ref, name)
            raise
        if not before:
            return Found(epoch=epoch)
        holder, behind, alive, listeners = before
        return Found(
            epoch=epoch,
            before=holder.decode(),
            behind=behind.decode() if behind else None,
            lapsed=not alive,
            asked=bool(listeners) or not self._redis.counts_receivers,
        )

    async def give_back(self, ref: Ref, name: str, found: Found) -> bool:
        rest = [found.before or "", found.behind or ""]
        return bool(await self._redis.run(GIVE_BACK, [self._names.lease(ref)], [name, *self._times, *rest]))

    async def clear_behind(self, ref: Ref, name: str) -> None:
        await self._redis.run(CLEAR_BEHIND, [self._names.lease(ref)], [name])

    async def forget(self, ref: Ref, name: str) -> None:
        await self._redis.run(FORGET, [self._names.lease(ref)], [name])

    async def renew(self, claims: Sequence[Claim]) -> Sequence[bytes | None]:
        """Extend the time of *claims*; return for each the claimant that its row names instead, or None."""
        calls: list[Call] = [([self._names.lease(mine.ref)], [mine.name, *self._times]) for mine in claims]
        return await self._redis.run_many(RENEW, calls)

    async def _withdraw(self, ref: Ref, name: str) -> None:
        """Try to put the previous claimant back into a row that names *name*."""
        # If this fails, the process of *name* answers "unknown", and the row says whether *name* was behind another claimant.
        with suppress(StorageError):
            await self._redis.run_once(GIVE_BACK, [self._names.lease(ref)], [name, *self._times, "", ""])
