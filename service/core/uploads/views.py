"""What callers see of uploads: their records, content and history, and the links that show them to others."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol

from holdfast.service.core import upload as rules
from holdfast.service.core.access.authorised import Authorised, View
from holdfast.service.core.commands import EventsOutcome, GetAttachment, GetContent, GetEvents, LinkOutcome, MakeLink
from holdfast.service.core.errors import ContentLost
from holdfast.service.core.events.pages import read_page
from holdfast.service.core.principals import Capability
from holdfast.service.core.store_errors import lost, translated
from holdfast.service.core.timekeeper import ByClock, Times
from holdfast.storage import errors as storage_errors
from holdfast.storage.ports.content import ByteStore
from holdfast.storage.ports.metadata import MetadataStore
from holdfast.storage.records import Key, Ref, Subject, Tenant, UploadRecord


class Sign(Protocol):
    """Signs a link to one upload; *owns_key* says whether it belongs to *subject*, *expires_at* is in seconds since the epoch."""

    def __call__(
        self, *, purpose: Capability, tenant: Tenant, key: Key, expires_at: int, subject: Subject | None, owns_key: bool
    ) -> str: ...


class UploadViews:
    """Every verb that reads uploads without disturbing an append, over any stores."""

    def __init__(
        self,
        content: ByteStore,
        metadata: MetadataStore,
        sign: Sign,
        *,
        link_life: float,
        clock: Callable[[], float] = time.time,
        times: Times | None = None,
    ) -> None:
        """A link is valid for at most *link_life* seconds.  *times* decide what has expired; the default is the *clock*."""
        self._bytes = content
        self._metadata = metadata
        self._sign = sign
        self._link_life = link_life
        self._clock = clock
        self._times = times or ByClock(clock)

    async def get(self, asked: Authorised[GetAttachment] | Authorised[GetContent] | Authorised[MakeLink]) -> View:
        """
        Return an upload as the caller sees it.

        :raises UploadNotFound, Forbidden, UploadGone, ContentRejected: the caller may not see it, or it has ended.
        """
        view = asked.view(await self.record_of(asked.command.ref))
        rules.refuse_gone(view.record, self._times.at_least())
        return view

    async def link(self, asked: Authorised[MakeLink]) -> LinkOutcome:
        """
        Sign a link to an upload, for one purpose.

        :raises UploadNotFound, Forbidden, UploadGone, ContentRejected: the caller may not see it, or it has ended.
        """
        view, command = await self.get(asked), asked.command
        record, expires_at = view.record, int(self._clock() + min(command.seconds, self._link_life))
        link = self._sign(
            purpose=command.purpose,
            tenant=record.tenant,
            key=record.key,
            expires_at=expires_at,
            subject=asked.by.subject,
            owns_key=view.original,
        )
        return LinkOutcome(record=record, link=link, expires_at=expires_at)

    async def events(self, asked: Authorised[GetEvents]) -> EventsOutcome:
        """
        Return the events of a tenant, or of one of its uploads, even if that has ended.

        :raises UploadNotFound, Forbidden: the caller may not see its history.
        """
        command = asked.command
        if command.attachment is not None:
            asked.permit(await self.record_of(Ref(tenant=command.tenant, key=command.attachment)))
        with translated():
            return await read_page(self._metadata, command)

    def read(self, view: View, start: int, stop: int) -> AsyncGenerator[memoryview, None]:
        """Yield the content of a complete upload from *start* up to *stop*."""
        return self.content_of(view.record, start, stop)

    @asynccontextmanager
    async def file(self, view: View) -> AsyncGenerator[int | None, None]:
        """Yield the descriptor of a file that begins with the content of a complete upload, or None if the store has no files."""
        async with AsyncExitStack() as stack:
            with translated():
                try:
                    descriptor = await stack.enter_async_context(self._bytes.file(view.record))
                except (storage_errors.NotFound, storage_errors.Corrupted) as error:
                    raise await self._missing(view.record, error) from error
            yield descriptor

    async def record_of(self, ref: Ref) -> UploadRecord:
        """
        Return the newest record of an upload, in any state, for the service itself.

        :raises UploadNotFound: there is no such upload.
        """
        with translated():
            return await self._metadata.get(ref)

    async def content_of(self, record: UploadRecord, start: int, stop: int) -> AsyncGenerator[memoryview, None]:
        """Yield content for the service itself, which sends none of it to a client."""
        with translated():
            try:
                async for block in self._bytes.read(record, start, stop):
                    yield block
            except (storage_errors.NotFound, storage_errors.Corrupted) as error:
                raise await self._missing(record, error) from error

    async def start_of(self, record: UploadRecord, size: int) -> bytes:
        """Return the first *size* bytes of content, or all of it, for the service itself, which detects the type."""
        return b"".join([bytes(block) async for block in self.content_of(record, 0, min(size, record.offset))])

    async def _missing(self, record: UploadRecord, error: storage_errors.StorageError) -> ContentLost:
        """Return the error for complete content that is missing."""
        rules.refuse_gone(await self.record_of(record.ref), self._times.at_least())  # deleted meanwhile
        return lost(record, error)
