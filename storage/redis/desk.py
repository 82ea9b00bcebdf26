"""
A desk in a Redis, where facts and leases of an upload are side by side: if nobody is in the way, each method is one round trip.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from storage.claims import Claim
from storage.errors import StorageError
from storage.objects import Event
from storage.ports import Change, Hold, Lease, Sight
from storage.records import Ref, UploadRecord
from storage.redis.leases import LOOK, TIMES, RedisLeases, RedisRows
from storage.redis.line import Line, Name, Script
from storage.redis.metadata import RedisMetadataStore, read_upload
from storage.redis.names import Names
from storage.threads import unbroken

HOLD = Script("hold")


class RedisDesk:
    """
    `storage.ports.Desk` over a metadata store and leases on the same line.
    """

    def __init__(self, line: Line, names: Names, metadata: RedisMetadataStore, leases: RedisLeases) -> None:
        self._line = line
        self._names = names
        self._metadata = metadata
        self._leases = leases
        self._rows = RedisRows(line, names)

    async def look(self, ref: Ref) -> Sight:
        document, held = await self._line.run(LOOK, [self._names.record(ref), self._names.lease(ref)])
        return Sight(record=read_upload(ref, document), held=bool(held))

    async def hold(self, ref: Ref, permit: Callable[[UploadRecord], object], evicted: Callable[[], object], wait: float) -> Hold:
        await self._leases.open()
        claims = self._leases.claims
        mine = claims.enter(ref, evicted)
        try:
            record = await unbroken(self._begin(mine))
            permit(record)
            if mine.epoch:
                return Hold(lease=claims.granted(mine), record=record)
        except BaseException:
            with suppress(StorageError):  # then its time will be over soon
                await unbroken(claims.let_go(mine))
            raise
        lease = await claims.take(mine, wait)
        try:
            return Hold(lease=lease, record=await self._metadata.get(ref))
        except BaseException:
            await claims.release(lease, fenced=False)
            raise

    async def settle(self, hold: Hold, old: UploadRecord, new: UploadRecord, events: Sequence[Event] = ()) -> None:
        change = Change(old=old, new=new)
        claims = self._leases.claims
        mine = claims.find(hold.lease)
        if mine is None:
            await self._metadata.commit([change], events)
            return
        await unbroken(self._settle(mine, change, events))

    async def release(self, lease: Lease, *, fenced: bool = True) -> None:
        await self._leases.release(lease, fenced=fenced)

    async def _begin(self, mine: Claim) -> UploadRecord:
        """Return the record, and take the lease if nobody has it."""
        ref = mine.ref
        keys: list[Name] = [self._names.record(ref), self._names.lease(ref), self._names.epoch(ref.tenant)]
        try:
            document, epoch = await self._line.run(HOLD, keys, [mine.name, *TIMES])
        except StorageError:
            with suppress(StorageError):
                await self._rows.withdraw(ref, mine.name)
            raise
        mine.epoch = epoch
        return read_upload(ref, document)

    async def _settle(self, mine: Claim, change: Change, events: Sequence[Event]) -> None:
        await self._metadata.settle(change, events, (self._names.lease(mine.ref), mine.name))
        mine.forced = False
        self._leases.claims.dismiss(mine)
