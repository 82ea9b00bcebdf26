"""
What only the local byte store promises: its fence between processes, its room, its modes and what a crash leaves.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from holdfast.storage.durability import Durability
from holdfast.storage.errors import Corrupted, NoSpace, Unavailable
from holdfast.storage.local.append import RESERVE
from holdfast.storage.local.store import COPY, LocalByteStore
from holdfast.storage.records import UploadRecord
from tests.storage.backends import appended, changed, claimed, content_of, new_upload
from tests.storage.processes import Room, Worker, worker
from tests.storage.workers import to_text

# Who waits for somebody that never comes fails soon.
pytestmark = pytest.mark.timeout(60)

KiB = 1024
MiB = 1024 * KiB


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return the folder of the store."""
    return tmp_path / "data"


@pytest.fixture
async def store(root: Path) -> AsyncIterator[LocalByteStore]:
    """Return a store that does not wait for disks."""
    store = LocalByteStore(str(root), Durability.NONE, threads=4)
    yield store
    await store.close()


def path_of(root: Path, folder: str, record: UploadRecord) -> Path:
    """Return where the content is while it is open (uploads), or published (attachments)."""
    return root / folder / record.key[:2] / record.key


def sizes_below(root: Path) -> dict[Path, tuple[int, int]]:
    """Return the bytes, and the blocks on the disk, of every file."""
    found = {path: path.stat() for path in root.rglob("*") if path.is_file()}
    return {path: (each.st_size, each.st_blocks) for path, each in found.items()}


async def asleep(worker: Worker) -> None:
    """Let *worker* write a block, and freeze it while it holds the file."""
    assert "asks" == await worker.line()
    worker.tell("SLEEPER")
    assert "asks" == await worker.line()
    worker.freeze()


async def awake(worker: Worker) -> None:
    """Let *worker* write another block and end."""
    worker.thaw()
    worker.tell("SLEEPER AGAIN")
    worker.tell_no_more()
    await worker.lines()


@pytest.mark.parametrize("offset", [0, 4])
async def test_a_frozen_writer_cannot_reach_what_a_newcomer_appends(root: Path, store: LocalByteStore, offset: int) -> None:
    """A newcomer appends without waiting for a frozen process, whose later writes nobody will read."""
    record = await appended(store, new_upload(length=8), b"hold"[:offset])
    async with worker("append", root, to_text(record)) as sleeper:
        await asleep(sleeper)
        mine = await appended(store, claimed(record), b"holdfast"[offset:])
        await awake(sleeper)

        assert b"holdfast" == await content_of(store, mine)
        await store.complete(mine)
        assert b"holdfast" == await content_of(store, mine)


@pytest.mark.parametrize("offset", [0, 4])
async def test_a_frozen_writer_cannot_reach_what_a_newcomer_publishes(root: Path, store: LocalByteStore, offset: int) -> None:
    """Content that was published while its writer was frozen does not change when the writer wakes up."""
    record = await appended(store, new_upload(), b"hold"[:offset])
    async with worker("append", root, to_text(record)) as sleeper:
        await asleep(sleeper)
        mine = await appended(store, claimed(record), b"holdfast"[offset:])
        await store.complete(mine)
        await awake(sleeper)

        assert b"holdfast" == await content_of(store, mine)
        assert 8 == path_of(root, "attachments", mine).stat().st_size


async def test_a_frozen_writer_cannot_reach_what_a_newcomer_only_publishes(root: Path, store: LocalByteStore) -> None:
    """A newcomer that appends nothing, and only publishes, is fenced against the frozen writer too."""
    record = await appended(store, new_upload(), b"holdfast")
    async with worker("append", root, to_text(record)) as sleeper:
        await asleep(sleeper)
        await store.complete(claimed(record))
        await awake(sleeper)

        assert b"holdfast" == await content_of(store, record)
        assert 8 == path_of(root, "attachments", record).stat().st_size


async def test_a_frozen_newcomer_cannot_bring_its_copy_back(root: Path, store: LocalByteStore) -> None:
    """Who was frozen while it put itself in a sleeper's place does not take the place of the next newcomer."""
    caught = False
    for _ in range(20):
        record = new_upload(offset=64 * MiB)
        path = path_of(root, "uploads", record)
        path.parent.mkdir(parents=True)
        path.touch()
        os.truncate(path, record.offset)  # a hole; copying it takes long enough to be caught at it, at the latest the next time
        async with worker("append", root, to_text(record)) as sleeper:
            await asleep(sleeper)  # before the other begins: else its file may be gone already
            async with worker("append", root, to_text(claimed(record))) as newcomer:
                caught = await _is_caught_copying(newcomer, path.parent)
                mine = await appended(store, claimed(claimed(record)), b"holdfast")
                newcomer.thaw()
                newcomer.tell("NEWCOMER")
                newcomer.tell_no_more()
                await newcomer.lines()

                assert b"holdfast" == await content_of(store, mine, record.offset)
        if caught:
            break

    assert caught


async def _is_caught_copying(newcomer: Worker, folder: Path) -> bool:
    """Freeze *newcomer* as soon as there is a second file; return whether that was before it had opened its own."""
    begins = asyncio.create_task(newcomer.line())
    while not begins.done() and len(os.listdir(folder)) == 1:
        await asyncio.sleep(0)
    newcomer.freeze()
    if begins.done():
        return False
    begins.cancel()
    return len(os.listdir(folder)) > 1


async def test_a_dead_writer_is_in_nobodys_way(root: Path, store: LocalByteStore) -> None:
    """A killed process leaves no lock behind: the file goes on being the same file."""
    record = await appended(store, new_upload(), b"hold")
    before = path_of(root, "uploads", record).stat().st_ino
    async with worker("append", root, to_text(record)) as victim:
        await asleep(victim)
        await victim.kill()
    record = await appended(store, changed(record), b"fast")

    assert before == path_of(root, "uploads", record).stat().st_ino
    assert b"holdfast" == await content_of(store, record)


@pytest.mark.parametrize("verb", ["append", "read"])
@pytest.mark.parametrize("steps", range(4))
async def test_a_cancelled_request_closes_its_file(store: LocalByteStore, verb: str, steps: int) -> None:
    """Who is cancelled while it opens the file, or soon after, leaves no descriptor behind."""
    record = await appended(store, new_upload(), b"hold")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        request = asyncio.create_task(appended(store, record, b"fast") if verb == "append" else content_of(store, record))
        for _ in range(steps):
            await asyncio.sleep(0)
        request.cancel()
        await asyncio.wait([request])

    assert before == len(os.listdir("/proc/self/fd"))


def _publishing_was_cut_before_the_rename(root: Path, record: UploadRecord) -> None:
    os.truncate(path_of(root, "uploads", record), record.offset)


def _publishing_was_cut_after_the_rename(root: Path, record: UploadRecord) -> None:
    path_of(root, "attachments", record).parent.mkdir()
    path_of(root, "uploads", record).rename(path_of(root, "attachments", record))


def _a_sleeper_wrote_after_publishing(root: Path, record: UploadRecord) -> None:
    _publishing_was_cut_after_the_rename(root, record)
    path_of(root, "uploads", record).write_bytes(b"SLEEPER")


@pytest.mark.parametrize(
    "crash",
    [_publishing_was_cut_before_the_rename, _publishing_was_cut_after_the_rename, _a_sleeper_wrote_after_publishing],
    ids=lambda crash: crash.__name__.strip("_"),
)
async def test_complete_after_a_crash(root: Path, store: LocalByteStore, crash: object) -> None:
    """Wherever publishing was cut off, doing it again publishes the same content and leaves nothing else."""
    record = await appended(store, new_upload(), b"holdfast")
    await appended(store, record, b" unrecorded")
    if crash is not _publishing_was_cut_before_the_rename:
        os.truncate(path_of(root, "uploads", record), record.offset)
    assert callable(crash)
    crash(root, record)
    await store.complete(claimed(record))

    assert b"holdfast" == await content_of(store, record)
    assert not path_of(root, "uploads", record).exists()
    assert 8 == path_of(root, "attachments", record).stat().st_size


async def test_a_killed_append_keeps_what_was_recorded(root: Path, store: LocalByteStore) -> None:
    """A process that is killed in the middle of an append costs what it had not recorded, and nothing else."""
    record = await appended(store, new_upload(length=2 * MiB), b"hold")
    async with worker("append", root, to_text(record)) as victim:
        await asleep(victim)
        await victim.kill()
    record = await appended(LocalByteStore(str(root)), record, b"fast")
    await store.complete(record)

    assert b"holdfast" == await content_of(store, record)


async def test_modes(root: Path, store: LocalByteStore) -> None:
    """Nobody but the service's own user can look at content, open or published."""
    await appended(store, new_upload(length=2 * MiB), b"open")
    record = await appended(store, new_upload(), b"published")
    await store.complete(record)
    paths = [root, *root.rglob("*")]

    assert {0o600} == {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_file()}
    assert {0o700} == {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_dir()}


async def test_a_store_is_opened_again(root: Path, store: LocalByteStore) -> None:
    """What one process wrote, the next one reads."""
    record = await appended(store, new_upload(), b"holdfast")
    again = LocalByteStore(str(root))

    assert b"holdfast" == await content_of(again, record)
    await again.close()


async def test_ping_notices_a_missing_folder(root: Path, store: LocalByteStore) -> None:
    """A store whose folder is gone does not say that it can take bytes."""
    shutil.rmtree(root)

    with pytest.raises(Unavailable):
        await store.ping()


async def test_a_missing_folder_has_lost_nothing(root: Path, store: LocalByteStore) -> None:
    """A store whose folder is gone, as that of a file system that is not mounted, is out of order: nothing is taken for lost."""
    record = await appended(store, new_upload(), b"holdfast")
    shutil.rmtree(root)

    with pytest.raises(Unavailable):
        await content_of(store, record)


async def test_no_space_tells_what_became_durable(root: Path, room: Room) -> None:
    """When the room is used up in the middle of a block, all bytes before that are kept and told, but for a reserve."""
    async with worker("append_until_full", root, room.limit, under=room.under) as writer:
        offset, state = (await writer.line()).split(" ")

        assert 0 == await writer.end()
    assert "whole" == state
    limit = room.limit or 1 * MiB
    assert limit - 2 * RESERVE <= int(offset) <= limit


async def test_no_space_is_told_before_the_first_byte(root: Path, room: Room) -> None:
    """A length that cannot fit is refused at once, and takes no room from others."""
    async with worker("announce_too_much", root, room.limit, 2 * MiB, under=room.under) as writer:
        assert "NoSpace 3" == await writer.line()
        assert 0 == await writer.end()


@pytest.mark.parametrize("offset", [0, 8], ids=["new", "begun"])
async def test_what_cannot_fit_touches_nothing(root: Path, store: LocalByteStore, offset: int) -> None:
    """Content that is larger than the disk is refused before its first byte is read, and changes no file."""
    record = await appended(store, new_upload(), b"holdfast"[:offset])
    before = sizes_below(root)
    asked = []

    async def content() -> AsyncIterator[memoryview]:
        asked.append(1)
        yield memoryview(b"!")

    with pytest.raises(NoSpace) as caught:
        await store.append(changed(record, length=2**62), content())

    assert ([], None) == (asked, caught.value.receipt)
    assert before == sizes_below(root)
    assert b"holdfast"[:offset] == await content_of(store, record)


async def test_an_announced_length_reserves_nothing(root: Path, store: LocalByteStore) -> None:
    """Clients that announce much and go away keep no room from others."""
    record = await appended(store, new_upload(length=32 * MiB), b"holdfast")
    found = path_of(root, "uploads", record).stat()

    assert 8 == found.st_size
    assert found.st_blocks * 512 <= 64 * KiB


# Copies for a next generation, which a crash or a frozen process left behind


async def _passed_over(store: LocalByteStore, record: UploadRecord) -> UploadRecord:
    return await appended(store, claimed(record), b"fast")


async def _tried_again(store: LocalByteStore, record: UploadRecord) -> UploadRecord:
    return await appended(store, record, b"fast")


async def _published(store: LocalByteStore, record: UploadRecord) -> UploadRecord:
    await store.complete(record)
    return record


async def _passed_over_and_published(store: LocalByteStore, record: UploadRecord) -> UploadRecord:
    await store.complete(claimed(record))
    return record


async def _deleted(store: LocalByteStore, record: UploadRecord) -> UploadRecord:
    await store.delete(record)
    return record


@pytest.mark.parametrize(
    ("verb", "expected"),
    [
        (_passed_over, b"holdfast"),
        (_tried_again, b"holdfast"),
        (_published, b"hold"),
        (_passed_over_and_published, b"hold"),
        (_deleted, None),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
async def test_a_copy_that_was_left_is_removed(
    root: Path,
    store: LocalByteStore,
    verb: Callable[[LocalByteStore, UploadRecord], Awaitable[UploadRecord]],
    expected: bytes | None,
) -> None:
    """Half a copy that nobody finished is never content, and is gone with the next step of the upload."""
    record = claimed(await appended(store, new_upload(), b"hold"))
    copy = path_of(root, "uploads", record).with_suffix(f".{record.generation}{COPY}")
    copy.write_bytes(b"SLEEPER AND MORE")
    record = await verb(store, record)

    assert [] == list(root.rglob(f"*{COPY}"))
    if expected is None:
        assert {} == sizes_below(root)
    else:
        assert expected == await content_of(store, record)
        assert [len(expected)] == [size for size, _ in sizes_below(root).values()]


async def test_a_copy_that_fails_is_removed(root: Path, store: LocalByteStore) -> None:
    """When bytes turn out to be missing while they are copied, nothing is left of the copy."""
    record = await appended(store, new_upload(), b"holdfast")
    os.truncate(path_of(root, "uploads", record), 4)
    with pytest.raises(Corrupted):
        await appended(store, claimed(record), b"!")

    assert [4] == [size for size, _ in sizes_below(root).values()]
