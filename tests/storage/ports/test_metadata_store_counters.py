"""
What every `holdfast.storage.ports.MetadataStore` promises of counters: they are adjusted in the commits of what they count.
"""

from __future__ import annotations

import asyncio

import pytest

from holdfast.storage.errors import AlreadyExists, NotFound, PreconditionFailed, QuotaExceeded
from holdfast.storage.ports.metadata import MOST, Adjustment, Change, MetadataStore
from holdfast.storage.records import Tenant
from tests.storage.backends import OTHER_TENANT, TENANT, changed, new_upload, on_every_topology, store_upload
from tests.storage.ports.test_metadata_store_objects import new_event, stored_events


def add(by: int, at_most: int | None = None, name: str = "bytes", tenant: Tenant = TENANT) -> Adjustment:
    """Return an adjustment of a counter of the usual name."""
    return Adjustment(tenant=tenant, name=name, by=by, at_most=at_most)


@on_every_topology
async def test_a_counter_is_adjusted_with_a_change(metadata: MetadataStore) -> None:
    """A counter begins at 0, grows up to its bound, and never falls below 0; each has a name and a tenant of its own."""
    upload = new_upload()
    before = await metadata.counter(TENANT, "bytes")
    await metadata.commit([Change(old=None, new=upload)], adjustments=[add(7, 10), add(1, name="kelp é")], events=[new_event()])
    await metadata.commit([Change(old=upload, new=changed(upload))], adjustments=[add(3, 10)])
    full = await metadata.counter(TENANT, "bytes")
    await metadata.commit([], adjustments=[add(-12)])

    assert (0, 10, 0) == (before, full, await metadata.counter(TENANT, "bytes"))
    assert 1 == await metadata.counter(TENANT, "kelp é")
    assert 0 == await metadata.counter(OTHER_TENANT, "bytes")


@on_every_topology
async def test_a_bound_refuses_everything(metadata: MetadataStore) -> None:
    """Where one counter would pass its bound, no change, no event and no other counter is stored, and its key is free."""
    known, upload = new_upload(), new_upload(idempotency_key="kelp")
    await metadata.commit([Change(old=None, new=known)], adjustments=[add(7)])
    changes = [Change(old=known, new=changed(known, offset=1)), Change(old=None, new=upload)]
    with pytest.raises(QuotaExceeded) as caught:
        await metadata.commit(changes, adjustments=[add(1, name="uploads"), add(4, 10)], events=[new_event()])

    assert "bytes" == caught.value.counter
    assert (7, 0) == (await metadata.counter(TENANT, "bytes"), await metadata.counter(TENANT, "uploads"))
    assert known == await metadata.get(known.ref)
    with pytest.raises(NotFound):
        await metadata.get(upload.ref)
    assert [] == await stored_events(metadata)
    await store_upload(metadata, upload)


async def test_adjustments_of_one_counter_add_up(metadata: MetadataStore) -> None:
    """Of several adjustments of one counter in one commit each sees what those before it made."""
    await metadata.commit([], adjustments=[add(6, 10), add(-2), add(6, 10)])
    with pytest.raises(QuotaExceeded):
        await metadata.commit([], adjustments=[add(-1), add(2, 10)])

    assert 10 == await metadata.counter(TENANT, "bytes")


async def test_a_bound_that_was_lowered(metadata: MetadataStore) -> None:
    """What lowers a counter, or leaves it as it is, is never refused, though the counter is above the bound."""
    await metadata.commit([], adjustments=[add(10)])
    await metadata.commit([], adjustments=[add(-1, 5), add(0, 5)])
    with pytest.raises(QuotaExceeded):
        await metadata.commit([], adjustments=[add(1, 5)])

    assert 9 == await metadata.counter(TENANT, "bytes")


async def test_the_greatest_counter(metadata: MetadataStore) -> None:
    """Every number that a counter can be is counted exactly, and none is passed."""
    await metadata.commit([], adjustments=[add(MOST - 1)])
    await metadata.commit([], adjustments=[add(1)])
    with pytest.raises(QuotaExceeded):
        await metadata.commit([], adjustments=[add(1, 2 * MOST)])
    top = await metadata.counter(TENANT, "bytes")
    await metadata.commit([], adjustments=[add(-MOST + 1)])

    assert (MOST, 1) == (top, await metadata.counter(TENANT, "bytes"))
    for by, at_most in ((MOST + 1, None), (-MOST - 1, None), (1, -1)):
        with pytest.raises(ValueError, match="counters"):
            add(by, at_most)


async def test_other_refusals_come_first(metadata: MetadataStore) -> None:
    """A request that is repeated finds its upload, and one that comes late hears so, though the quota is used up meanwhile."""
    upload = new_upload(idempotency_key="kelp")
    await metadata.commit([Change(old=None, new=upload)], adjustments=[add(10, 10)])
    with pytest.raises(AlreadyExists) as caught:
        await metadata.commit([Change(old=None, new=new_upload(idempotency_key="kelp"))], adjustments=[add(10, 10)])
    with pytest.raises(PreconditionFailed):
        await metadata.commit([Change(old=changed(upload), new=changed(changed(upload)))], adjustments=[add(10, 10)])

    assert upload == caught.value.existing
    assert 10 == await metadata.counter(TENANT, "bytes")


@on_every_topology
async def test_many_adjust_at_once(metadata: MetadataStore) -> None:
    """However many come at once, as many get through as the bound has room for, and the counter is their sum."""

    async def begin(number: int) -> bool:
        adjustments = [add(3, 50), add(1, name="uploads")]
        changes = [Change(old=None, new=new_upload())] if number % 2 else []
        try:
            await metadata.commit(changes, adjustments=adjustments, events=[new_event()] if number % 3 else [])
        except QuotaExceeded:
            return False
        return True

    done = await asyncio.gather(*map(begin, range(64)))

    assert 16 == sum(done)
    assert (48, 16) == (await metadata.counter(TENANT, "bytes"), await metadata.counter(TENANT, "uploads"))
