"""
Whether a slot takes the content of an upload: its size, its type, and for images what a decoder makes of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from holdfast.service.core.content.media_types import START_BYTES, accepted, found, is_of_images, takes
from holdfast.service.core.content.sniffing import SNIFFED_BYTES, sniff
from holdfast.service.core.errors import ImageTooLarge, NotAccepted, TooLarge, UploadNotFound
from holdfast.service.core.policies import Policy
from holdfast.service.core.store_errors import lost, translated
from holdfast.storage import errors as storage_errors
from holdfast.storage.ports.content import ByteStore
from holdfast.storage.ports.metadata import MetadataStore
from holdfast.storage.records import State, UploadRecord

LARGEST_LOOK = 64 * 1024 * 1024  # bytes

Read = Callable[[], Awaitable[list[bytes]]]
Look = Callable[[Read, Policy, UploadRecord], Awaitable[None]]
"""Looks at an image, and reads its blocks when it comes to that; raises NotAccepted, ImageInvalid, ImageTooLarge for the slot."""


class Acceptance:
    """
    Looks at content for slots.
    """

    def __init__(self, content: ByteStore, metadata: MetadataStore, look: Look | None) -> None:
        self._bytes = content
        self._metadata = metadata
        self._look = look

    async def kind(self, upload: UploadRecord, policy: Policy) -> str | None:
        """
        Return the media type that a slot takes an upload for; None where it takes anything, whatever it is.

        :raises TooLarge, NotAccepted: it is not for this slot.
        """
        if policy.max_bytes is not None and upload.offset > policy.max_bytes:
            raise TooLarge(policy.max_bytes, upload, what=policy.slot)
        if policy.types is None:
            declares = upload.intent is None or upload.content_type is not None or upload.content_encoding is not None
            return None if declares else sniff(b"".join(await self._read(upload, SNIFFED_BYTES)))
        refuse_encoded(upload.content_encoding, policy)
        start = b"".join(await self._read(upload, START_BYTES))
        kind = accepted(upload.content_type, upload.name, start, policy.types)
        if kind is None:
            seen = found(start)
            if seen is not None and takes(policy.types, seen):
                seen += f", and was declared as {upload.content_type}"
            raise not_accepted(policy, seen)
        return kind

    async def look(self, upload: UploadRecord, policy: Policy) -> None:
        """
        Decode an image for a slot that takes nothing else.

        :raises NotAccepted, ImageInvalid, ImageTooLarge: the slot does not take it.
        """
        if self._look is None or not is_of_images(policy.types):
            return
        if upload.offset > LARGEST_LOOK:
            raise ImageTooLarge(f"images are limited to {LARGEST_LOOK} bytes")
        await self._look(partial(self._read, upload, upload.offset), policy, upload)

    async def _read(self, upload: UploadRecord, limit: int) -> list[bytes]:
        """Return content in blocks: to join a large one takes longer than others may wait for the event loop."""
        if not upload.offset:
            return []  # to which nothing was ever appended: a store has no content of that name
        try:
            with translated(storage_errors.NotFound, storage_errors.Corrupted):
                return [bytes(block) async for block in self._bytes.read(upload, 0, min(limit, upload.offset))]
        except (storage_errors.NotFound, storage_errors.Corrupted) as error:
            with translated():
                newest = await self._metadata.get(upload.ref)
            if newest.state is not upload.state:
                raise UploadNotFound("there is no such upload") from error  # deleted at this very moment
            if upload.state is State.COMPLETE:
                raise lost(upload, error) from error
            raise storage_errors.Corrupted(str(error)) from error


def refuse_encoded(content_encoding: str | None, policy: Policy) -> None:
    """
    Refuse encoded content for a slot that looks at content: what is looked at, and shown to others, is never decoded first.
    """
    if content_encoding is not None and policy.types is not None:
        message = f"{policy.slot} takes content as it is, not with Content-Encoding: {content_encoding}; upload it without"
        raise NotAccepted(message)


def not_accepted(policy: Policy, seen: str | None = None) -> NotAccepted:
    """
    Return the refusal that names what a slot takes, and what was seen instead.
    """
    why = "" if seen is None else f"; the content is {seen}"
    return NotAccepted(f"{policy.slot} takes {', '.join(sorted(policy.types or ()))}{why}")
