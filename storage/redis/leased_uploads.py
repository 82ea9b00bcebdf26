"""LeasedUploads in a Redis, beside the records: without contention each method is one round trip."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from holdfast.storage.errors import StorageError
from holdfast.storage.leases.claims import Claim
from holdfast.storage.ports.leases import Hold, LeaseStatus
from holdfast.storage.records import Ref, UploadRecord
from holdfast.storage.redis.leases import RedisLeases
from holdfast.storage.redis.metadata import read_upload
from holdfast.storage.threads import unbroken


class RedisLeasedUploads:
    """`holdfast.storage.ports.LeasedUploads` over leases in the same Redis as the records."""

    def __init__(self, leases: RedisLeases) -> None:
        self._leases = leases
        self._claims = leases.claims
        self._rows = leases.rows

    async def status(self, ref: Ref) -> LeaseStatus:
        document, held, failover_epoch = await self._rows.read(ref)
        return LeaseStatus(record=read_upload(ref, document, failover_epoch), held=held)

    async def hold(self, ref: Ref, permit: Callable[[UploadRecord], object], evicted: Callable[[], object], wait: float) -> Hold:
        await self._leases.open()
        mine = self._claims.enter(ref, evicted)
        try:
            record = await unbroken(self._take_if_free(mine))
            permit(record)
            if mine.epoch:
                return Hold(lease=self._claims.granted(mine), record=record)
        except BaseException:
            with suppress(StorageError):  # otherwise the claim ends after its time
                await unbroken(self._claims.let_go(mine))
            raise
        lease = await self._claims.take(mine, wait)
        try:
            return Hold(lease=lease, record=(await self.status(ref)).record)
        except BaseException:
            await self._claims.release(lease, fenced=False)
            raise

    async def _take_if_free(self, mine: Claim) -> UploadRecord:
        document, mine.epoch, failover_epoch = await self._rows.hold(mine.ref, mine.name)
        return read_upload(mine.ref, document, failover_epoch)
