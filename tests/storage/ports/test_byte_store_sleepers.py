"""
What every `holdfast.storage.ports.ByteStore` promises when a holder was passed over, and wakes up.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from holdfast.storage.errors import Corrupted, NotFound, StorageError
from holdfast.storage.ports.content import ByteStore
from holdfast.storage.records import UploadRecord
from tests.storage.backends import Held, appended, blocks, claimed, content_of, new_upload, on_swift_too

# Who waits for somebody that never comes fails soon.
pytestmark = pytest.mark.timeout(60)

MiB = 1024 * 1024


async def published(store: ByteStore, record: UploadRecord) -> bytes:
    """Complete the upload and return its content."""
    await store.complete(record)
    return await content_of(store, record)


@on_swift_too
async def test_a_sleeper_in_mid_append_reaches_nothing(store: ByteStore) -> None:
    """Who was passed over in the middle of an append writes where nobody reads."""
    record = await appended(store, new_upload(), b"hold")
    held = Held(b"SLE", b"EPER SLEEPER")
    sleeper = asyncio.create_task(store.append(record, held.blocks()))
    await held.waiting.wait()
    mine = await appended(store, claimed(record), b"fast")
    held.go_on.set()
    await asyncio.wait([sleeper])

    assert sleeper.done()
    assert b"holdfast" == await content_of(store, mine)
    assert b"holdfast" == await published(store, mine)


@pytest.mark.parametrize("is_published", [False, True], ids=["open", "published"])
async def test_a_sleeper_that_had_not_begun_reaches_nothing(store: ByteStore, is_published: bool) -> None:
    """Who was passed over before it came to the store cannot overwrite what the newcomer recorded."""
    record = await appended(store, new_upload(), b"hold")
    mine = await appended(store, claimed(record), b"fast")
    if is_published:
        await store.complete(mine)
    with suppress(StorageError):
        await store.append(record, blocks(b"SLEEPER"))

    assert b"holdfast" == await content_of(store, mine)
    assert b"holdfast" == await published(store, mine)


@pytest.mark.parametrize("is_published", [False, True], ids=["open", "published"])
@on_swift_too
async def test_many_are_passed_over(store: ByteStore, is_published: bool) -> None:
    """Each of several sleepers wakes up as late as it likes: only what was recorded last is there."""
    record = new_upload(length=2 * MiB)
    sleepers = []
    for part in (b"ho", b"ld", b"fast"):
        held = Held(b"SLEEPER", b" SLEEPER" * 3)
        append = asyncio.create_task(store.append(record, held.blocks()))
        await held.waiting.wait()
        sleepers.append((held, append, record))
        record = await appended(store, claimed(record), part)
    if is_published:
        await store.complete(record)
    for held, append, stale in sleepers:
        held.go_on.set()
        await asyncio.wait([append])
        with suppress(StorageError):
            await store.append(stale, blocks(b"SLEEPER"))

        assert b"holdfast" == await content_of(store, record)
    assert b"holdfast" == await published(store, record)


async def test_a_newcomer_may_not_find_what_was_lost(store: ByteStore) -> None:
    """Passing a holder over is no way around missing bytes."""
    promised = claimed(new_upload(offset=8))

    with pytest.raises(Corrupted):
        await store.append(promised, blocks(b"fast"))
    with pytest.raises(Corrupted):
        await store.complete(promised)


@on_swift_too
async def test_a_newcomer_reads_deletes_and_publishes(store: ByteStore) -> None:
    """Who passed a holder over, and appends nothing itself, has the upload all the same."""
    record = await appended(store, new_upload(), b"holdfast")
    mine = claimed(claimed(record))

    assert b"holdfast" == await content_of(store, mine)
    assert b"holdfast" == await published(store, mine)
    await store.delete(mine)
    with pytest.raises(NotFound):
        await content_of(store, mine)


@on_swift_too
async def test_a_newcomer_deletes_what_is_open(store: ByteStore) -> None:
    """Who passed a holder over, and gives the upload up, leaves nothing of any generation."""
    record = await appended(store, new_upload(), b"hold")
    mine = claimed(await appended(store, claimed(record), b"fast"))
    await store.delete(mine)
    for found in (record, mine):
        with pytest.raises(NotFound):
            await content_of(store, found, 0, 4)
