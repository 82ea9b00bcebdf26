"""
What the server does when a store has lost acknowledged bytes.

The client may have discarded those bytes; the server cannot restore them.  But from now on it reports the truth: the upload
goes on from what is left of it, or from the beginning.
"""

from __future__ import annotations

import logging

from holdfast.service.core import upload as rules
from holdfast.service.core.events.events import event
from holdfast.service.core.limits import Limits
from holdfast.service.core.timekeeper import Times
from holdfast.service.core.uploads.journal import UploadJournal
from holdfast.storage.errors import StorageError
from holdfast.storage.ports.content import ByteStore
from holdfast.storage.ports.metadata import MetadataStore
from holdfast.storage.records import Ref, State, UploadRecord

logger = logging.getLogger("holdfast")


class Losses:
    """Finds what is left of an upload, and records it.  The caller holds the lease."""

    def __init__(self, content: ByteStore, metadata: MetadataStore, journal: UploadJournal, limits: Limits, times: Times) -> None:
        self._bytes = content
        self._metadata = metadata
        self._journal = journal
        self._limits = limits
        self._times = times

    async def settle(self, ref: Ref, error: StorageError) -> UploadRecord | None:
        """Return the upload without the lost bytes, or None if nothing is lost.  *error* is what the store raised."""
        record = await self._metadata.get(ref)
        if record.state not in (State.OPEN, State.RECEIVED):
            return None
        remains = await self._bytes.salvage(record)
        if remains.offset >= record.offset:
            return None
        left = rules.fall_back(record, remains, self._limits, self._times.at_most())
        lost = {"offset": remains.offset, "lost": record.offset - remains.offset}
        reported = event("upload.lost", record.ref, self._times.at_most(), None, data=lost)
        left = await self._journal.replace(record, left, events=[reported])
        logger.error("bytes of %s are lost, %d of %d are left: %s", record.key, left.offset, record.offset, error)
        return left
