"""
What every `holdfast.storage.ports.ByteStore` promises of appends that are recorded while they go on.
"""

from __future__ import annotations

from contextlib import suppress

import pytest

from holdfast.storage.errors import PreconditionFailed
from holdfast.storage.ports.content import ByteStore
from holdfast.storage.records import Receipt
from tests.storage.backends import appended, blocks, changed, content_of, new_upload, on_swift_too

# Who waits for somebody that never comes fails soon.
pytestmark = pytest.mark.timeout(60)

SHORT = b"kelp\x00\xff\n"
# Long enough that no store reads it at once.
LONG = bytes(range(256)) * 5 * 1024


class Trouble(Exception):
    """What a checkpoint of a test fails with."""


@on_swift_too
async def test_checkpoints(store: ByteStore) -> None:
    """What a checkpoint tells is durable, grows, and is all that the record needs to go on from there."""
    record = new_upload(length=len(LONG))
    told: list[Receipt] = []

    async def tell(receipt: Receipt) -> None:
        told.append(receipt)

    final = await store.append(record, blocks(b"", LONG[:500_000], b"", b"", LONG[500_000:1_000_000], b""), tell)
    received = [receipt.received for receipt in told]

    assert sorted(set(received)) == received
    assert set(received) <= {500_000, 1_000_000}
    assert 1_000_000 == final.received
    for receipt in [*told, final]:
        there = changed(record, offset=receipt.received, parts=receipt.parts)
        assert LONG[: receipt.received] == await content_of(store, there)
    last = [*told, final][0]
    record = changed(record, offset=last.received, parts=last.parts)
    record = await appended(store, record, LONG[last.received :])

    await store.complete(record)
    assert LONG == await content_of(store, record)


@pytest.mark.parametrize("error", [PreconditionFailed("somebody else has it"), Trouble()], ids=["told", "any"])
async def test_an_error_of_a_checkpoint_ends_the_append(store: ByteStore, error: Exception) -> None:
    """Where the facts are not taken there is nothing to store bytes for; the append can be repeated."""
    record = new_upload(length=len(SHORT))
    asked = 0

    async def refuse(_receipt: Receipt) -> None:
        nonlocal asked
        asked += 1
        raise error

    with suppress(type(error)):
        await store.append(record, blocks(b"SLEEPER", b"", b"", b"x"), refuse)
    record = await appended(store, record, SHORT)

    assert asked <= 1
    await store.complete(record)
    assert SHORT == await content_of(store, record)
