"""
When one append to a local file is recorded.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from storage.local import Durability, LocalByteStore
from storage.local_append import UNRECORDED, UNRECORDED_FOR
from storage.ports import Receipt
from tests.storage.backends import new_upload


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
