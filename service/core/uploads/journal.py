"""Stores changes of uploads, each with its event in the same commit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from holdfast.service.core.events.events import event, of_step
from holdfast.service.core.principals import Principal
from holdfast.storage.objects import Event
from holdfast.storage.ports.leases import Hold, Lease
from holdfast.storage.ports.metadata import Change, MetadataStore
from holdfast.storage.records import UploadRecord


class Held:
    """An upload whose lease this request holds, with its record from the time when the hold began."""

    def __init__(self, hold: Hold) -> None:
        self.hold = hold
        self.record = hold.record
        self.settled = False
        """Whether the lease was let go together with the last change."""


class UploadJournal:
    """The records of uploads; *by* is the principal that asked for a change, or None for the service itself."""

    def __init__(self, metadata: MetadataStore, clock: Callable[[], float]) -> None:
        self._metadata = metadata
        self._clock = clock

    async def create(self, record: UploadRecord, by: Principal | None) -> None:
        """Store a new upload."""
        created = event("upload.created", record.ref, record.created_at, by)
        await self._metadata.commit([Change(old=None, new=record)], events=[created])

    async def replace(
        self,
        old: UploadRecord,
        new: UploadRecord,
        by: Principal | None = None,
        reason: str | None = None,
        events: Sequence[Event] | None = None,
        release: Lease | None = None,
    ) -> UploadRecord:
        """
        Store *new* as the next revision of *old*, and return it.

        The event is that of the new state, with the *reason* if there is one; *events* replace it.  The lease *release* is let
        go in the same step.
        """
        replacement = dataclasses.replace(new, revision=old.revision + 1)
        stored = of_step(old, replacement, self._clock(), by, reason) if events is None else events
        await self._metadata.commit([Change(old=old, new=replacement)], events=stored, release=release)
        return replacement

    async def settle(self, held: Held, old: UploadRecord, new: UploadRecord, by: Principal | None) -> UploadRecord:
        """Store *new* as the next revision of *old*, let the upload go in the same step, and return *new*."""
        replacement = await self.replace(old, new, by, release=held.hold.lease)
        held.settled = True
        return replacement
