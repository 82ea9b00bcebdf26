"""
When one append to a local file is recorded.
"""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from holdfast.storage import files
from holdfast.storage.durability import Durability
from holdfast.storage.errors import Corrupted, NoSpace
from holdfast.storage.local.append import FLUSH, RESERVE, UNRECORDED, UNRECORDED_FOR
from holdfast.storage.local.store import LocalByteStore
from holdfast.storage.records import Receipt
from tests.storage.backends import appended, blocks, changed, content_of, new_upload


async def test_little_is_not_recorded_at_once(tmp_path: Path) -> None:
    """A wish to record is heard when there is enough, or it is old enough; at the end everything is told."""
    told: list[int] = []

    async def tell(receipt: Receipt) -> None:
        told.append(receipt.received)

    now = 0.0
    store = LocalByteStore(str(tmp_path), Durability.NONE, threads=4, clock=lambda: now)

    async def content() -> AsyncIterator[memoryview]:
        nonlocal now
        for size in (1, UNRECORDED - 2, 1, 5):
            yield memoryview(bytes(size))
            yield memoryview(b"")
        now += UNRECORDED_FOR
        yield memoryview(b"")
        yield memoryview(b"x")

    receipt = await store.append(new_upload(), content(), tell)
    await store.close()

    assert [UNRECORDED, UNRECORDED + 5] == told
    assert UNRECORDED + 6 == receipt.received


@pytest.mark.parametrize("durability", Durability)
async def test_content_begins_its_way_to_the_disk(
    tmp_path: Path, durability: Durability, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that will have to be there is told to the system in turn, as soon as it is enough; what need not is not."""
    begun: list[tuple[int, int]] = []

    def begin(_descriptor: int, start: int, length: int) -> bool:
        begun.append((start, length))
        return True

    monkeypatch.setattr(files, "begin_sync", begin)
    store = LocalByteStore(str(tmp_path), durability)
    record = await appended(store, new_upload(), b"kelp")
    await store.append(record, blocks(bytes(FLUSH - 1), b"k", b"elp", bytes(2 * FLUSH)))
    await store.close()

    assert ([] if durability is Durability.NONE else [(4, FLUSH), (4 + FLUSH, 3 + 2 * FLUSH)]) == begun


@pytest.mark.parametrize("told", [False, True], ids=["nothing told", "told"])
async def test_what_is_given_back_of_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: bool) -> None:
    """
    When the disk is full, a reserve of what was just written is given back, so that the rest can be recorded; but nothing of what
    was told before.
    """
    all_told: list[int] = []
    write, room = os.pwrite, 4 * RESERVE + 10

    def pwrite(descriptor: int, block: memoryview, offset: int) -> int:
        if offset >= room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, block[: room - offset], offset)

    async def tell(receipt: Receipt) -> None:
        all_told.append(receipt.received)

    monkeypatch.setattr(os, "pwrite", pwrite)
    store = LocalByteStore(str(tmp_path), Durability.NONE)
    record = new_upload()
    content = b"holdfast" * RESERVE
    # The last block that fits begins a little behind what was told.
    first = content[: room - 5]
    with pytest.raises(NoSpace) as caught:
        await store.append(record, blocks(first, *([b""] if told else []), content[len(first) :]), tell)
    kept = caught.value.receipt
    assert kept is not None
    found = await content_of(store, changed(record, offset=kept.received))
    await store.close()

    assert (room - 5 if told else room - RESERVE) == kept.received
    assert content[: kept.received] == found
    assert kept.received == (tmp_path / store.open_names(record)[0]).stat().st_size


@pytest.mark.parametrize("more", [b"fast", b""])
async def test_a_file_that_is_cut_off_meanwhile(tmp_path: Path, more: bytes) -> None:
    """What is written behind the end of a file would have zeros in front of it: the append fails, and nothing of it counts."""
    store = LocalByteStore(str(tmp_path), Durability.NONE, threads=4)

    async def content() -> AsyncIterator[memoryview]:
        yield memoryview(b"hold")
        for path in (tmp_path / "uploads").rglob("*"):
            if path.is_file():
                os.truncate(path, 1)
        yield memoryview(more)

    with pytest.raises(Corrupted):
        await store.append(new_upload(), content())
    await store.close()
