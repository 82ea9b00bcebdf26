"""The files in the directory of a local byte store, and which of them are needed."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

from holdfast.storage import keys
from holdfast.storage.errors import Corrupted, NotFound
from holdfast.storage.files import os_errors
from holdfast.storage.local.store import LocalByteStore
from holdfast.storage.ports.inventory import Stored
from holdfast.storage.records import KEPT, State, UploadRecord
from holdfast.storage.threads import Threads

# Files that are looked at in one call on the thread.
PAGE = 1000


class LocalInventory:
    """A `holdfast.storage.ports.Inventory` of the files of *store*."""

    def __init__(self, store: LocalByteStore) -> None:
        self._store = store
        self._threads = Threads("inventory", 1)

    async def stored(self) -> AsyncIterator[Stored]:
        walk = self._walk()
        while page := await self._threads.run(_take, walk):
            for stored in page:
                yield stored

    def needed(self, record: UploadRecord) -> frozenset[str]:
        if record.state not in KEPT:
            return frozenset()
        published = self._store.published_name(record)
        if record.state is State.COMPLETE:
            return frozenset({published})
        # If the newest generation has no file yet, its bytes are in an earlier one.
        return frozenset({published, *self._store.open_names(record)})

    async def examine(self, record: UploadRecord) -> None:
        if record.state in KEPT and (record.offset or record.state is State.COMPLETE):
            await self._threads.run(self._examine, record)

    async def remove(self, stored: Stored) -> None:
        await self._threads.run(self._remove, stored.name)

    async def close(self) -> None:
        """End the thread."""
        self._threads.close()

    # The methods below block, and run on the thread.

    def _walk(self) -> Iterator[Stored]:
        with os_errors():
            for folder in ("uploads", "attachments"):
                for path, _, names in os.walk(os.path.join(self._store.root, folder)):
                    for name in names:
                        key = keys.parse_key(name.partition(".")[0])
                        if key is None or os.path.basename(path) != keys.shard(key):
                            continue
                        with suppress(FileNotFoundError):  # deleted meanwhile
                            found = os.stat(os.path.join(path, name))
                            place = os.path.relpath(os.path.join(path, name), self._store.root)
                            yield Stored(name=place, key=key, size=found.st_size, changed_at=found.st_mtime)

    def _examine(self, record: UploadRecord) -> None:
        with os_errors():
            # The newest first: of a generation that was fenced off, only the bytes before the fence count.
            names = [self._store.published_name(record)]
            if record.state is not State.COMPLETE:
                names += self._store.open_names(record)
            for name in names:
                with suppress(FileNotFoundError):
                    size = os.stat(os.path.join(self._store.root, name)).st_size
                    if size < record.offset or (record.state is State.COMPLETE and size != record.offset):
                        raise Corrupted(f"{name} has {size} bytes instead of {record.offset}")
                    return
        raise NotFound(f"{names[-1]} is missing")

    def _remove(self, name: str) -> None:
        with os_errors(), suppress(FileNotFoundError):
            os.unlink(os.path.join(self._store.root, name))


def _take(walk: Iterator[Stored]) -> list[Stored]:
    page: list[Stored] = []
    for stored in walk:
        page.append(stored)
        if len(page) == PAGE:
            break
    return page
