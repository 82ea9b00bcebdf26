"""LeasedUploads over a metadata store and leases that are independent of each other."""

from __future__ import annotations

from collections.abc import Callable

from holdfast.storage.ports.leases import Hold, Leases, LeaseStatus
from holdfast.storage.ports.metadata import MetadataStore
from holdfast.storage.records import Ref, UploadRecord


class SeparateLeasedUploads:
    """A `holdfast.storage.ports.LeasedUploads` that asks one store after the other."""

    def __init__(self, metadata: MetadataStore, leases: Leases) -> None:
        self._metadata = metadata
        self._leases = leases

    async def status(self, ref: Ref) -> LeaseStatus:
        # The record first: a request that is taking the lease right now has a moment more to appear.
        record = await self._metadata.get(ref)
        return LeaseStatus(record=record, held=await self._leases.held(ref))

    async def hold(self, ref: Ref, permit: Callable[[UploadRecord], object], evicted: Callable[[], object], wait: float) -> Hold:
        permit(await self._metadata.get(ref))
        lease = await self._leases.acquire(ref, evicted, wait)
        try:
            return Hold(lease=lease, record=await self._metadata.get(ref))
        except BaseException:
            await self._leases.release(lease, fenced=False)
            raise
