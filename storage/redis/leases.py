"""
Leases between processes on many machines, in a Redis.

How claimants deal with each other is `holdfast.storage.leases.claims`.  Here a row is a hash beside the records of its tenant,
and messages are
published: the script that writes a newcomer into the row asks the holder in the same step.

Nobody can tell a dead process from one that is cut off.  So a row says *until* when its claimant is believed to be alive, by the
clock of Redis, and each process puts that off for all its claims as long as it lives.  A claimant whose time is over, or to
whose channel nobody listens, is passed over at once; the lease is forced then, for it may be asleep.
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
# A row that was never fenced, and that nobody came for, tells of a sleeper; nobody sleeps longer.
KEEP = 30 * DAYS
REPEAT = 0.1 * SECONDS
# On a busy network, by way of two nodes of a Cluster.
ANSWER = 0.3 * SECONDS

# Who deletes something has to have its lease first, also when the memory of Redis is full.
CLAIM, GIVE_BACK, SETTLE, FORGET, RENEW, HOLD = (
    Script(name, frees=True) for name in ("claim", "give_back", "settle", "forget", "renew", "hold")
)
LOOK = Script("look")


class RedisLeases:
    """
    `holdfast.storage.ports.Leases` for all processes that know the same Redis.

    A claimant that is not heard of for *life* seconds counts as asleep; that is put off three times as often.
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
        Return when the claims of this process can be asked for.

        :raises Unavailable: they cannot.
        """
        await self._mailbox.open(self.claims.process, self.claims.understand)
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
            await self.redis_client.look_again()
            standing = self.claims.standing()
            with suppress(StorageError):  # the next time will do
                for mine, newcomer in zip(standing, await self.rows.renew(standing), strict=True):
                    if newcomer is not None:
                        self.claims.evict(mine)  # the message may be lost, and the newcomer have passed it over
            await self._mailbox.check()


class RedisRows:
    """
    `holdfast.storage.leases.claims.Rows` in a Redis; *life* is how many seconds a claimant is believed to be alive.
    """

    def __init__(self, redis_client: RedisClient, names: RedisNames, life: float) -> None:
        self._redis = redis_client
        self._names = names
        self._times = (int(life * MILLISECONDS), int(KEEP * MILLISECONDS))

    async def read(self, ref: Ref) -> tuple[bytes | None, bool, str]:
        """
        Return the document of an upload, whether somebody who is believed to be alive has its lease, and the timeline.
        """
        document, held, timeline = await self._redis.run(LOOK, [self._names.record(ref), self._names.lease(ref)])
        return document, bool(held), timeline.decode()

    async def hold(self, ref: Ref, name: str) -> tuple[bytes | None, int, str]:
        """
        Take the lease for *name* if nobody has it; return the document of the upload, the epoch, or 0 if nothing was taken, and
        the timeline.
        """
        keys: list[Name] = [self._names.record(ref), self._names.lease(ref), self._names.epoch(ref.tenant)]
        try:
            document, epoch, timeline = await self._redis.run(HOLD, keys, [name, *self._times])
        except StorageError:
            await self._withdraw(ref, name)
            raise
        return document, epoch, timeline.decode()

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

    async def settle(self, ref: Ref, name: str) -> None:
        await self._redis.run(SETTLE, [self._names.lease(ref)], [name])

    async def forget(self, ref: Ref, name: str) -> None:
        await self._redis.run(FORGET, [self._names.lease(ref)], [name])

    async def renew(self, claims: Sequence[Claim]) -> Sequence[bytes | None]:
        """
        Put off the time at which *claims* count as asleep; return of each who stands in its row instead, if somebody does.
        """
        calls: list[Call] = [([self._names.lease(mine.ref)], [mine.name, *self._times]) for mine in claims]
        return await self._redis.run_many(RENEW, calls)

    async def _withdraw(self, ref: Ref, name: str) -> None:
        """Put whoever stood there before into the place of *name*, if that stands there, and if it can be done now."""
        # Otherwise whoever finds it is told by its process that nobody knows it, and by the row whether it was behind somebody.
        with suppress(StorageError):
            await self._redis.run_once(GIVE_BACK, [self._names.lease(ref)], [name, *self._times, "", ""])
