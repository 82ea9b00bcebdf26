"""
Compares records and content: finds content without a record, and promised content that is missing.

What may only be on its way is not reported: recent changes are ignored, and a record is read again before anything is removed.
"""

from __future__ import annotations

import enum
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from holdfast.service.core import upload as rules
from holdfast.storage.errors import Corrupted, NotFound
from holdfast.storage.ports.inventory import Inventory, Stored
from holdfast.storage.ports.leases import LeasedUploads
from holdfast.storage.ports.metadata import MetadataStore
from holdfast.storage.records import Key, Ref, State, UploadRecord

DAYS = 86_400.0  # seconds
MINUTES = 60.0


class Problem(enum.Enum):
    """How records and content can differ."""

    ORPHAN = "stored for an upload that has no record"
    LEFTOVER = "stored, and no longer needed by its upload"
    MISSING = "promised, and not there"
    DETACHED = "in a slot, as the upload believes; the slot does not"


REMOVABLE = frozenset({Problem.ORPHAN, Problem.LEFTOVER})


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A difference, and the reason for it."""

    problem: Problem
    key: Key
    name: str
    """What is stored, or what the record refers to."""
    why: str
    repaired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why an upload is kept, or when and why it ends, in sentences; and whether everything it promises is there."""

    sentences: tuple[str, ...]
    whole: bool


class Check:
    """Compares everything that is stored with every record."""

    def __init__(
        self,
        metadata: MetadataStore,
        leased_uploads: LeasedUploads,
        inventory: Inventory,
        *,
        settled: float = 1 * DAYS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Changes less than *settled* seconds old are ignored."""
        self._metadata = metadata
        self._leased_uploads = leased_uploads
        self._inventory = inventory
        self._settled = settled
        self._clock = clock

    async def findings(self, *, repair: bool = False) -> AsyncIterator[Finding]:
        """
        Yield every difference; with *repair*, content that no record needs is removed.

        :raises StorageError: a store fails.
        """
        # Content is listed first: what exists then without a record now will never get one.
        stored = [each async for each in self._inventory.stored() if each.changed_at <= self._clock() - self._settled]
        records: dict[Key, UploadRecord] = {}
        wanted = {each.key for each in stored}
        async for record in self._metadata.uploads():
            if record.key in wanted:
                records[record.key] = record
            async for missing in self._missing(record):
                yield missing
        for each in stored:
            finding = await self._unneeded(each, records.get(each.key), repair=repair)
            if finding is not None:
                yield finding

    async def explain(self, record: UploadRecord) -> Explanation:
        """
        Say why an upload is kept, or when and why it ends.

        :raises StorageError: a store fails.
        """
        lines = [_life(record, self._clock())]
        lines += [f"It is in the slot {slot.slot} of {slot.kind} {slot.id}; that keeps it." for slot in record.attached]
        if record.intent is not None and record.state in (State.OPEN, State.RECEIVED):
            slot = record.intent.slot
            lines.append(f"When it is complete it goes into the slot {slot.slot} of {slot.kind} {slot.id}.")
        try:
            await self._inventory.examine(record)
        except (NotFound, Corrupted) as error:
            return Explanation(sentences=(*lines, f"Its content is not all there: {error}."), whole=False)
        lines.append("All content that it promises is there." if record.offset else "It has no content.")
        return Explanation(sentences=tuple(lines), whole=True)

    async def _missing(self, record: UploadRecord) -> AsyncIterator[Finding]:
        if rules.is_over(record) or record.state is State.UNKNOWN:
            return
        try:
            await self._inventory.examine(record)
        except (NotFound, Corrupted) as error:
            again = await self._newest(record.ref)
            if again is not None and again.revision == record.revision:
                yield Finding(problem=Problem.MISSING, key=record.key, name=f"{record.offset} bytes", why=str(error))
        for slot in record.attached:
            try:
                keys = [association.attachment for association in (await self._metadata.get_slot(slot)).active]
            except NotFound:
                keys = []
            again = await self._newest(record.ref) if record.key not in keys else None
            if again is not None and again.revision == record.revision:
                where = f"{slot.slot} of {slot.kind} {slot.id}"
                yield Finding(problem=Problem.DETACHED, key=record.key, name=where, why="the slot does not have it")

    async def _unneeded(self, stored: Stored, record: UploadRecord | None, *, repair: bool) -> Finding | None:
        if record is not None:
            if stored.name in self._inventory.needed(record):
                return None
            # The upload may need it by now, or a request may be using it.
            status = await self._leased_uploads.status(record.ref)
            record = status.record
            if status.held or stored.name in self._inventory.needed(record):
                return None
        problem = Problem.ORPHAN if record is None else Problem.LEFTOVER
        why = "there is no record of it" if record is None else f"the upload is {record.state}, and its content is not in here"
        if repair:
            await self._inventory.remove(stored)
        return Finding(problem=problem, key=stored.key, name=stored.name, why=why, repaired=repair)

    async def _newest(self, ref: Ref) -> UploadRecord | None:
        try:
            return await self._metadata.get(ref)
        except NotFound:
            return None


def _life(record: UploadRecord, now: float) -> str:
    at = "" if record.expires_at is None else time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(record.expires_at))
    of = "unknown length" if record.length is None else f"{record.length} bytes"
    match record.state:
        case State.OPEN if rules.expired(record, now):
            return f"It is open at {record.offset} of {of}, and was to be finished before {at}: the next sweep gives it up."
        case State.OPEN:
            return f"It is open at {record.offset} of {of}; without progress it is given up at {at}."
        case State.RECEIVED:
            return f"All {record.offset} bytes are there; the finish is tried again at {at}."
        case State.COMPLETE if record.attached:
            return f"It is complete: {record.offset} bytes."
        case State.COMPLETE if record.expires_at is not None:
            return f"It is complete and in no slot: it is purged at {at}, unless it gets into one."
        case State.COMPLETE:
            return "It is complete and was never in a slot; nothing purges it."
        case State.UNKNOWN:
            return "Only a newer version of Holdfast knows its state: this one leaves it alone."
        case _:
            rest = f"; its content is deleted at {at}" if at else ""
            return f"It is {record.state}: a tombstone keeps its key{rest}."
