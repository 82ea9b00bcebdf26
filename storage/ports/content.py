"""
The port for content: what a byte store promises.  The docstrings are the contract.

A conformance suite in ``tests/storage/ports/`` runs over every backend; a backend of your own is done when it passes.  The
methods of one object may be called concurrently, from one event loop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from holdfast.storage.ports.room import Room
from holdfast.storage.ports.salvage import Salvage
from holdfast.storage.records import Parts, Receipt, UploadRecord

Checkpoint = Callable[[Receipt], Awaitable[None]]
"""Records how far an append is while it goes on; what it raises ends the append."""


async def unrecorded(_receipt: Receipt) -> None:
    """Record nothing: the `Checkpoint` of whoever waits for the end."""


class ByteStore(Salvage, Room, Protocol):
    """
    Keeps the content of uploads.

    Every method that returns has made its effect as durable as the store was told to be.
    """

    async def append(
        self, record: UploadRecord, content: AsyncIterator[memoryview], checkpoint: Checkpoint = unrecorded
    ) -> Receipt:
        """
        Write *content* at *record.offset*, and return what is durable now.

        The recorded offset rules: what an earlier append left beyond it is overwritten and never read.  Each block of
        *content* is valid until the next is asked for.  An error of *content* itself is raised again, and promises nothing
        beyond the last checkpoint.

        While content goes on, *checkpoint* is told what became durable meanwhile, never twice at once, and never of less than
        before.  An empty block is the wish for one; whether, and when else, is for the store to say, which knows what it costs.

        The caller holds the lease.  Where that lease was forced, it has stored *record* with the next generation first.  In
        return nothing that a caller with an earlier generation still does, however long it slept, reaches this content.

        :raises NoSpace: the room is used up; its receipt says what did become durable.
        :raises Corrupted: the bytes before *record.offset* are missing.
        :raises Unavailable: nothing is promised about this append beyond the last checkpoint.
        """
        ...

    async def complete(self, record: UploadRecord) -> None:
        """
        Publish the first *record.offset* bytes as content that will not change any more.

        Doing it again is no error, nor is it one after a crash in the middle.

        :raises Corrupted: not all these bytes are there.
        :raises NoSpace: there is no room to publish it.
        :raises Unavailable: it may or may not have happened; do it again.
        """
        ...

    def exposed(self, record: UploadRecord) -> Parts:
        """
        Return the parts that an open upload has to have been recorded with before it is read, so that appends know of that.
        """
        ...

    def read(self, record: UploadRecord, start: int, stop: int) -> AsyncIterator[memoryview]:
        """
        Yield the bytes from *start* up to, not including, *stop*; each block is valid until the next is asked for.

        Works when it is complete, and while it is open (up to *record.offset*; see `exposed`).  A reader that has begun is not
        disturbed by `delete`.

        :raises NotFound: there is no content of that name.
        :raises Corrupted: the content ends before *stop*.
        """
        ...

    def file(self, record: UploadRecord) -> AbstractAsyncContextManager[int | None]:
        """
        Have a descriptor of a file whose first *record.offset* bytes are the content, to read from; None where there is no file.

        What holds of `read` holds of it.

        :raises NotFound: there is no content of that name.
        """
        ...

    async def delete(self, record: UploadRecord) -> None:
        """
        Remove the content, published or not.  Content that is not there is no error.

        :raises Unavailable: it may still be there.
        """
        ...

    async def ping(self) -> None:
        """
        Return when the store can take bytes now.

        :raises StorageError: it cannot.
        """
        ...

    async def close(self) -> None:
        """
        Let go of threads and connections.
        """
        ...
