"""
The port for content.  The docstrings are the contract.

A backend is complete when it passes the conformance suite in ``tests/storage/ports/``.  The methods of one object may be called
concurrently, from one event loop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from holdfast.storage.ports.room import Room
from holdfast.storage.ports.salvage import Salvage
from holdfast.storage.records import Parts, Receipt, UploadRecord

Checkpoint = Callable[[Receipt], Awaitable[None]]
"""Records the progress of an append, in its event loop; it may wait for a store, and an error that it raises ends the append."""


async def unrecorded(_receipt: Receipt) -> None:
    """Record nothing: the `Checkpoint` of a caller that only needs the end."""


class ByteStore(Salvage, Room, Protocol):
    """
    Keeps the content of uploads.

    When a method returns, its effect is as durable as the store's `holdfast.storage.durability.Durability` promises.
    """

    async def append(
        self, record: UploadRecord, content: AsyncIterator[memoryview], checkpoint: Checkpoint = unrecorded
    ) -> Receipt:
        """
        Write *content* at *record.offset*, and return what is durable now.

        The recorded offset decides: bytes beyond it, from an earlier append, are overwritten and never read.  Each block of
        *content* is valid until the next is asked for.  An error of *content* itself is raised again; nothing is promised
        beyond the last checkpoint.

        While content comes, the store awaits *checkpoint* with what became durable so far: one call at a time, each with more
        than the one before.  An empty block asks for a checkpoint; the store decides, since it knows what one costs.

        The caller holds the lease.  If the lease was forced, it has stored *record* with the next generation first.  In return,
        nothing that a caller with an earlier generation still does reaches this content, however late.

        :raises NoSpace: the store is full; its receipt says what became durable.
        :raises Corrupted: bytes before *record.offset* are missing.
        :raises Unavailable: nothing is promised beyond the last checkpoint.
        """
        ...

    async def complete(self, record: UploadRecord) -> None:
        """
        Publish the first *record.offset* bytes as content that never changes again.

        It may be repeated, also after a crash in the middle.

        :raises Corrupted: some of these bytes are missing.
        :raises NoSpace: there is no room to publish it.
        :raises Unavailable: it may or may not have happened; repeat it.
        """
        ...

    def exposed(self, record: UploadRecord) -> Parts:
        """Return the parts to record before an open upload is read, so that appends know of the read."""
        ...

    def read(self, record: UploadRecord, start: int, stop: int) -> AsyncIterator[memoryview]:
        """
        Yield the bytes from *start* up to, not including, *stop*; each block is valid until the next is asked for.

        The upload may be complete, or open (up to *record.offset*; see `exposed`).  A `delete` does not disturb a reader that
        has begun.

        :raises NotFound: there is no such content.
        :raises Corrupted: the content ends before *stop*.
        """
        ...

    def file(self, record: UploadRecord) -> AbstractAsyncContextManager[int | None]:
        """
        Open a file whose first *record.offset* bytes are the content; yield its descriptor, for reading, or None if there is no
        file.  Otherwise as `read`.

        :raises NotFound: there is no such content.
        """
        ...

    async def delete(self, record: UploadRecord) -> None:
        """
        Remove the content, published or not.  Missing content is no error.

        :raises Unavailable: it may still exist.
        """
        ...

    async def ping(self) -> None:
        """
        Return if the store can take bytes now.

        :raises StorageError: it cannot.
        """
        ...

    async def close(self) -> None:
        """End the threads and close the connections."""
        ...
