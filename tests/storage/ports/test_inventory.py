"""
What every `holdfast.storage.ports.inventory.Inventory` promises.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from holdfast.storage.errors import Corrupted, NotFound
from holdfast.storage.ports.content import ByteStore
from holdfast.storage.ports.inventory import Inventory, Stored
from holdfast.storage.records import State, UploadRecord
from tests.storage.backends import INVENTORIES, appended, changed, claimed, content_of, new_upload, usual
from tests.storage.places import Place

# Who waits for somebody that never comes fails soon.
pytestmark = pytest.mark.timeout(60)

OVER = [State.REJECTED, State.INVALID, State.CANCELLED, State.EXPIRED, State.PURGED]


@dataclass(frozen=True, slots=True)
class Shop:
    """A byte store, and its inventory."""

    store: ByteStore
    inventory: Inventory

    async def complete(self, content: bytes = b"holdfast") -> UploadRecord:
        """Return an attachment with *content*."""
        record = await appended(self.store, new_upload(length=len(content)), content)
        received = changed(record, state=State.RECEIVED)
        await self.store.complete(received)
        return changed(received, state=State.COMPLETE)

    async def stored(self) -> list[Stored]:
        """Return everything that is there."""
        return [stored async for stored in self.inventory.stored()]

    async def unneeded(self, *records: UploadRecord) -> list[Stored]:
        """Return what none of *records* needs."""
        needed = frozenset().union(*(self.inventory.needed(record) for record in records))
        return [stored for stored in await self.stored() if stored.name not in needed]


@pytest.fixture(params=usual(INVENTORIES))
async def shop(request: pytest.FixtureRequest, place: Place) -> AsyncIterator[Shop]:
    """Return a byte store of the usual kinds that has an inventory."""
    shop = Shop(*INVENTORIES[request.param](place))
    yield shop
    await shop.inventory.close()
    await shop.store.close()


async def test_nothing(shop: Shop) -> None:
    """A new store has nothing, and an upload without a byte needs nothing to be whole."""
    await shop.inventory.examine(new_upload())

    assert [] == await shop.stored()


@pytest.mark.parametrize("shop", INVENTORIES, indirect=True)
async def test_everything_is_found(shop: Shop) -> None:
    """Each upload is found under its key, open and complete, and its record needs what is found."""
    open_ = await appended(shop.store, new_upload(), b"hold")
    complete = await shop.complete()
    keys = {stored.key for stored in await shop.stored()}

    assert {open_.key, complete.key} == keys
    assert [] == await shop.unneeded(open_, complete)
    for record in (open_, complete):
        await shop.inventory.examine(record)


async def test_published_but_not_recorded(shop: Shop) -> None:
    """What was published just before a crash is needed by the record that does not know of it yet."""
    received = changed(await appended(shop.store, new_upload(length=4), b"hold"), state=State.RECEIVED)
    await shop.store.complete(received)

    assert [] == await shop.unneeded(received)
    await shop.inventory.examine(received)


@pytest.mark.parametrize("state", OVER)
async def test_what_is_over_needs_nothing(shop: Shop, state: State) -> None:
    """No content of an upload that is over is needed, and nobody misses it."""
    open_ = await appended(shop.store, new_upload(), b"hold")
    complete = await shop.complete()
    over = [changed(record, state=state) for record in (open_, complete)]
    unneeded = await shop.unneeded(*over)

    assert {open_.key, complete.key} == {stored.key for stored in unneeded}
    for record in over:
        await shop.inventory.examine(record)


@pytest.mark.parametrize("shop", INVENTORIES, indirect=True)
async def test_remove(shop: Shop) -> None:
    """What is removed is gone, and nothing else; it may be removed again."""
    open_ = await appended(shop.store, new_upload(), b"hold")
    complete, other = await shop.complete(), await shop.complete(b"other")
    for stored in await shop.stored():
        if stored.key in (open_.key, complete.key):
            await shop.inventory.remove(stored)
            await shop.inventory.remove(stored)

    assert [] == await shop.unneeded(other)
    assert b"other" == await content_of(shop.store, other)
    for record in (open_, complete):
        with pytest.raises(NotFound):
            await shop.inventory.examine(record)


@pytest.mark.parametrize("shop", INVENTORIES, indirect=True)
async def test_what_is_missing(shop: Shop) -> None:
    """A promise of more than there is is noticed, of open and of complete uploads."""
    open_ = await appended(shop.store, new_upload(), b"hold")
    complete = await shop.complete()
    for promised in (changed(open_, offset=5), changed(complete, offset=9)):
        with pytest.raises(Corrupted):
            await shop.inventory.examine(promised)
    for promised in (new_upload(offset=1), new_upload(offset=1, state=State.COMPLETE)):
        with pytest.raises(NotFound):
            await shop.inventory.examine(promised)


async def test_a_generation_without_content_yet(shop: Shop) -> None:
    """Who passed a holder over needs what that one left, until it has content of its own."""
    record = await appended(shop.store, new_upload(), b"hold")
    mine = claimed(record)

    assert [] == await shop.unneeded(mine)
    await shop.inventory.examine(mine)
    mine = await appended(shop.store, mine, b"fast")
    assert [] == await shop.unneeded(mine)
    await shop.inventory.examine(mine)
