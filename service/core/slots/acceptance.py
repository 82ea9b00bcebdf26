"""Decides whether a slot takes the content of an upload: by its size, its type, and for images by decoding it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from holdfast.service.core.content.media_types import START_BYTES, accepted, found, is_of_images, takes
from holdfast.service.core.content.sniffing import sniff
from holdfast.service.core.errors import ImageTooLarge, NotAccepted, TooLarge, UploadNotFound
from holdfast.service.core.policies import Policy
from holdfast.service.core.store_errors import lost, translated
from holdfast.storage import errors as storage_errors
from holdfast.storage.ports.content import ByteStore
from holdfast.storage.ports.metadata import MetadataStore
from holdfast.storage.records import State, UploadRecord

T = TypeVar("T")
LARGEST_INSPECTED = 64 * 1024 * 1024  # bytes

Read = Callable[[], Awaitable[list[bytes]]]
Inspect = Callable[[Read, Policy, UploadRecord], Awaitable[None]]
"""Decodes an image, awaiting its blocks only when needed; raises NotAccepted, ImageInvalid, ImageTooLarge for the slot."""


class Acceptance:
    """Checks content for slots."""

    def __init__(self, content: ByteStore, metadata: MetadataStore, inspect: Inspect | None) -> None:
        self._bytes = content
        self._metadata = metadata
        self._inspect = inspect

    async def kind(self, upload: UploadRecord, policy: Policy, start: FirstBytes) -> str | None:
        """
        Return the media type that a slot takes an upload for; None if the slot takes any type and one is declared.

        :raises TooLarge, NotAccepted: the slot does not take it.
        """
        if policy.max_bytes is not None and upload.offset > policy.max_bytes:
            raise TooLarge(policy.max_bytes, upload, what=policy.slot)
        if policy.types is None:
            declares = upload.intent is None or upload.content_type is not None or upload.content_encoding is not None
            return None if declares else sniff(await self._there(upload, start.read()))
        refuse_encoded(upload.content_encoding, policy)
        first = await self._there(upload, start.read())
        kind = accepted(upload.content_type, upload.name, first, policy.types)
        if kind is None:
            seen = found(first)
            if seen is not None and takes(policy.types, seen):
                seen += f", and was declared as {upload.content_type}"
            raise not_accepted(policy, seen)
        return kind

    async def inspect(self, upload: UploadRecord, policy: Policy) -> None:
        """
        Decode an image for a slot that takes only images.

        :raises NotAccepted, ImageInvalid, ImageTooLarge: the slot does not take it.
        """
        if self._inspect is None or not is_of_images(policy.types):
            return
        if upload.offset > LARGEST_INSPECTED:
            raise ImageTooLarge(f"images are limited to {LARGEST_INSPECTED} bytes")
        await self._inspect(partial(self._read, upload), policy, upload)

    async def _read(self, upload: UploadRecord) -> list[bytes]:
        """Return content in blocks: joining a large one would block the event loop too long."""
        return await self._there(upload, read_blocks(self._bytes, upload, upload.offset))

    async def _there(self, upload: UploadRecord, reading: Awaitable[T]) -> T:
        """Await *reading*; the error for missing content depends on the state that the upload has by now."""
        try:
            with translated(storage_errors.NotFound, storage_errors.Corrupted):
                return await reading
        except (storage_errors.NotFound, storage_errors.Corrupted) as error:
            with translated():
                newest = await self._metadata.get(upload.ref)
            if newest.state is not upload.state:
                raise UploadNotFound("there is no such upload") from error  # deleted meanwhile
            if upload.state is State.COMPLETE:
                raise lost(upload, error) from error
            raise storage_errors.Corrupted(str(error)) from error


class FirstBytes:
    """The first bytes of one upload's content, read at most once."""

    def __init__(self, store: ByteStore, upload: UploadRecord) -> None:
        self._store = store
        self._upload = upload
        self._bytes: bytes | None = None

    async def read(self) -> bytes:
        """
        Return up to `START_BYTES` bytes; none of encoded content, since the declared type is that of the decoded content.

        :raises NotFound, Corrupted, Unavailable: the store has not got them, or fails.
        """
        if self._bytes is None:
            encoded = self._upload.content_encoding is not None
            self._bytes = b"" if encoded else b"".join(await read_blocks(self._store, self._upload, START_BYTES))
        return self._bytes


async def read_blocks(store: ByteStore, upload: UploadRecord, limit: int) -> list[bytes]:
    """Return up to *limit* bytes of content, in blocks."""
    if not upload.offset:
        return []  # nothing was appended, so the store has no content of this name
    return [bytes(block) async for block in store.read(upload, 0, min(limit, upload.offset))]


def refuse_encoded(content_encoding: str | None, policy: Policy) -> None:
    """Refuse encoded content for a slot with types: content is examined and shown as it is, never decoded first."""
    if content_encoding is not None and policy.types is not None:
        message = f"{policy.slot} does not take Content-Encoding: {content_encoding}; upload the content without a coding"
        raise NotAccepted(message)


def not_accepted(policy: Policy, seen: str | None = None) -> NotAccepted:
    """Return the refusal that names the types that a slot takes, and the detected one."""
    why = "" if seen is None else f"; the content is {seen}"
    return NotAccepted(f"{policy.slot} takes {', '.join(sorted(policy.types or ()))}{why}")
