"""
What the history of a slot says, against what is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from holdfast.storage.objects import Event, SlotRecord
from holdfast.storage.records import Key, Ref, SlotRef, UploadRecord
from holdfast.storage.sqlite.metadata import SqliteMetadataStore

PAGE = 1000


async def facts(folder: Path, photo: SlotRef, keys: Sequence[Key]) -> tuple[SlotRecord, list[Event], list[UploadRecord]]:
    """Return the slot, the events of its tenant and the uploads, as they are stored in SQLite."""
    metadata = SqliteMetadataStore(str(folder / "holdfast.sqlite"))
    events: list[Event] = []
    position = ""
    while page := await metadata.events(photo.tenant, position, PAGE):
        events += [logged.event for logged in page]
        position = page[-1].position
    uploads = [await metadata.get(Ref(tenant=photo.tenant, key=key)) for key in keys]
    slot = await metadata.get_slot(photo)
    await metadata.close()
    return slot, events, uploads


def check(slot: SlotRecord, events: list[Event], uploads: list[UploadRecord]) -> int:
    """Play the events over, and compare what comes of them with what is stored; return how many associations began."""
    current, began, ended = None, 0, []
    for event in events:
        match event.type:
            case "attachment.attached":
                assert current is None
                current, began = event.attachment, began + 1
            case "attachment.detached":
                assert event.attachment == current
                current = None
                ended.append(event.attachment)
    photo = slot.ref

    assert [current] == [association.attachment for association in slot.active]
    assert [association.attachment for association in slot.ended] == ended[-len(slot.ended) :]
    assert [current] == [upload.key for upload in uploads if upload.attached == (photo,)]
    assert all(upload.expires_at is not None for upload in uploads if not upload.attached and upload.key in ended)
    return began
