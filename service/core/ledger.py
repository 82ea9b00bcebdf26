"""
Writes down what becomes of uploads, and in the same commit the event that tells of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from service.core.events import event, of_step
from service.core.principals import Principal
from storage.ports import MetadataStore
from storage.records import UploadRecord


class Ledger:
    """
    The records of uploads; *by* is who asked for a change, None for what the service does by itself.
    """

    def __init__(self, metadata: MetadataStore, clock: Callable[[], float]) -> None:
        self._metadata = metadata
        self._clock = clock

    async def create(self, record: UploadRecord, by: Principal | None) -> None:
        """
        Store a new upload.
        """
        await self._metadata.create(record, [event("upload.created", record.ref, record.created_at, by)])

    async def replace(self, old: UploadRecord, new: UploadRecord, by: Principal | None = None) -> UploadRecord:
        """
        Store *new* as the next revision of *old*, and return it.
        """
        replacement = dataclasses.replace(new, revision=old.revision + 1)
        await self._metadata.replace(old, replacement, of_step(old, replacement, self._clock(), by))
        return replacement
