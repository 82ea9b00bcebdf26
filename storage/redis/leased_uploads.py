"""
A desk in a Redis, where facts and leases of an upload are side by side: if nobody is in the way, each method is one round trip.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from holdfast.storage.errors import StorageError
from holdfast.storage.leases.claims import Claim
from holdfast.storage.objects import Event
from holdfast.storage.ports.leases import Hold, Lease, LeaseStatus
from holdfast.storage.ports.metadata import Change
from holdfast.storage.records import Ref, UploadRecord
from holdfast.storage.redis.leases import RedisLeases
from holdfast.storage.redis.metadata import RedisMetadataStore, read_upload
from holdfast.storage.redis.names import Names
from holdfast.storage.threads import unbroken


class RedisLeasedUploads:
    """
    `holdfast.storage.ports.LeasedUploads` over a metadata store and leases on the same line, under the same names.
    """

    def __init__(self, names: Names, metadata: RedisMetadataStore, leases: RedisLeases) -> None:
        self._names = names
        self._metadata = metadata
        self._leases = leases
        self._claims = leases.claims
        self._rows = leases.rows

    async def look(self, ref: Ref) -> LeaseStatus:
        document, held, timeline = await self._rows.look(ref)
        return LeaseStatus(record=read_upload(ref, document, timeline), held=held)

    async def hold(self, ref: Ref, permit: Callable[[UploadRecord], object], evicted: Callable[[], object], wait: float) -> Hold:
        await self._leases.open()
        mine = self._claims.enter(ref, evicted)
        try:
            record = await unbroken(self._take_if_free(mine))
            permit(record)
            if mine.epoch:
                return Hold(lease=self._claims.granted(mine), record=record)
        except BaseException:
            with suppress(StorageError):  # then its time will be over soon
                await unbroken(self._claims.let_go(mine))
            raise
        lease = await self._claims.take(mine, wait)
        try:
            return Hold(lease=lease, record=(await self.look(ref)).record)
        except BaseException:
            await self._claims.release(lease, fenced=False)
            raise

    async def settle(self, hold: Hold, old: UploadRecord, new: UploadRecord, events: Sequence[Event] = ()) -> None:
        change = Change(old=old, new=new)
        mine = self._claims.find(hold.lease)
        if mine is None:
            await self._metadata.commit([change], events)
        else:
            await unbroken(self._settle(mine, change, events))

    async def release(self, lease: Lease, *, fenced: bool = True) -> None:
        await self._leases.release(lease, fenced=fenced)

    async def _take_if_free(self, mine: Claim) -> UploadRecord:
        document, mine.epoch, timeline = await self._rows.hold(mine.ref, mine.name)
        return read_upload(mine.ref, document, timeline)

    async def _settle(self, mine: Claim, change: Change, events: Sequence[Event]) -> None:
        await self._metadata.settle(change, events, (self._names.lease(mine.ref), mine.name))
        mine.forced = False
        self._claims.dismiss(mine)
