"""
What every `holdfast.storage.ports.MetadataStore` promises.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.storage.errors import AlreadyExists, NotFound, PreconditionFailed
from holdfast.storage.keys import new_key
from holdfast.storage.ports.metadata import Change, MetadataStore
from holdfast.storage.ports.notes import SECRET_BYTES
from holdfast.storage.records import FIELDS, Intent, Parts, Ref, SlotRef, State, Subject, Tenant, UploadRecord
from tests.storage.backends import NOW, OTHER_TENANT, TENANT, changed, new_upload, on_every_topology, replace_upload, store_upload

counts = st.integers(min_value=0, max_value=2**63 - 1)
times = st.floats(min_value=0, max_value=1e12)
texts = st.text(max_size=20)
# Everything that a record can hold, but for what makes it that record: its key, revision and idempotency key.
facts: dict[str, st.SearchStrategy[Any]] = {
    "tenant": texts.map(Tenant),
    "created_at": times,
    "state": st.sampled_from(State),
    "generation": counts,
    "offset": counts,
    "length": st.none() | counts,
    "expires_at": st.none() | times,
    "name": st.none() | texts,
    "content_type": st.none() | texts,
    "content_encoding": st.none() | texts,
    "tries": counts,
    "verify_type": st.booleans(),
    "metadata": st.none() | texts,
    "parts": texts.map(Parts),
    "creator": st.none() | texts.map(Subject),
}
intents = st.none() | st.tuples(texts, texts, texts, st.none() | texts)


@pytest.fixture
def store(metadata: MetadataStore) -> MetadataStore:
    """Return a store of the usual kinds, or those of the test."""
    return metadata


def test_every_fact_is_tried() -> None:
    """No field of a record is forgotten by the tests of this file."""
    assert set(FIELDS) == {*facts, "key", "revision", "idempotency_key", "attached", "intent"}


@given(
    before=st.fixed_dictionaries(facts),
    after=st.fixed_dictionaries(facts),
    name=st.text(min_size=1, max_size=20),
    meant=intents,
)
@settings(max_examples=30)
async def test_every_fact_comes_back(
    store: MetadataStore, before: dict[str, Any], after: dict[str, Any], name: str, meant: tuple[str, str, str, str | None] | None
) -> None:
    """A record is read exactly as it was created, and as it was replaced."""
    intent = None
    if meant is not None:
        slot = SlotRef(tenant=before["tenant"], kind=meant[0], id=meant[1], slot=meant[2])
        intent = Intent(slot=slot, if_match=meant[3])
    created = new_upload(**before, idempotency_key=name + new_key(), intent=intent)
    await store_upload(store, created)
    found = await store.get(created.ref)
    # The tenant is part of what an upload is found by; it does not change.
    replaced = changed(created, **{**after, "tenant": created.tenant})
    await replace_upload(store, created, replaced)

    assert created == found
    assert replaced == await store.get(created.ref)


async def test_what_was_never_created(store: MetadataStore) -> None:
    """There is no record of a key that nobody used."""
    with pytest.raises(NotFound):
        await store.get(new_upload().ref)


async def test_other_tenants_find_nothing(store: MetadataStore) -> None:
    """A key says nothing to another tenant than its own."""
    record = new_upload()
    await store_upload(store, record)

    with pytest.raises(NotFound):
        await store.get(Ref(tenant=OTHER_TENANT, key=record.key))


async def test_other_tenants_replace_nothing(store: MetadataStore) -> None:
    """A record is replaced in the name of its own tenant only."""
    record = new_upload()
    await store_upload(store, record)
    other = new_upload(tenant=OTHER_TENANT, key=record.key)

    with pytest.raises(PreconditionFailed):
        await replace_upload(store, other, changed(other, state=State.CANCELLED))
    assert record == await store.get(record.ref)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("tenant", [TENANT, OTHER_TENANT])
async def test_a_key_is_used_once(store: MetadataStore, state: State, tenant: Tenant) -> None:
    """A key that was ever used is taken for every tenant: a tombstone keeps it as well."""
    record = new_upload()
    await store_upload(store, record)
    ended = changed(record, state=state)
    await replace_upload(store, record, ended)
    with pytest.raises(AlreadyExists) as caught:
        await store_upload(store, new_upload(key=record.key, tenant=tenant))

    assert caught.value.existing is None
    assert ended == await store.get(record.ref)


async def test_of_two_keys_one_is_taken(store: MetadataStore) -> None:
    """Of uploads that begin together none does where the key of one was used; that of the other can be used by another."""
    record, other = new_upload(tenant=OTHER_TENANT), new_upload()
    await store_upload(store, record)
    for pair in ([other, new_upload(key=record.key)], [new_upload(key=record.key), other]):
        with pytest.raises(AlreadyExists):
            await store.commit([Change(old=None, new=new) for new in pair])
    await store_upload(store, changed(other, tenant=OTHER_TENANT))

    assert record == await store.get(record.ref)


async def test_an_idempotency_key_finds_its_record(store: MetadataStore) -> None:
    """Whoever creates with an idempotency key that is taken is given the newest record that has it, and creates nothing."""
    record = new_upload(idempotency_key="again")
    await store_upload(store, record)
    newest = changed(record, offset=4)
    await replace_upload(store, record, newest)
    second = new_upload(idempotency_key="again")
    with pytest.raises(AlreadyExists) as caught:
        await store_upload(store, second)

    assert newest == caught.value.existing
    with pytest.raises(NotFound):
        await store.get(second.ref)


@on_every_topology
async def test_an_idempotency_key_is_known_by_the_same_key_too(store: MetadataStore) -> None:
    """A creation that is repeated word for word is given the record that it made."""
    record = new_upload(idempotency_key="again")
    await store_upload(store, record)
    with pytest.raises(AlreadyExists) as caught:
        await store_upload(store, record)

    assert record == caught.value.existing


async def test_idempotency_keys_are_per_tenant(store: MetadataStore) -> None:
    """Two tenants may use the same idempotency key."""
    ours, theirs = (new_upload(tenant=tenant, idempotency_key="again") for tenant in (TENANT, OTHER_TENANT))
    await store_upload(store, ours)
    await store_upload(store, theirs)

    assert (ours, theirs) == (await store.get(ours.ref), await store.get(theirs.ref))


async def test_an_idempotency_key_that_was_given_up_is_free(store: MetadataStore) -> None:
    """When a record gives its idempotency key up, another may have it."""
    record = new_upload(idempotency_key="again")
    await store_upload(store, record)
    await replace_upload(store, record, changed(record, state=State.CANCELLED, idempotency_key=None))
    second = new_upload(idempotency_key="again")
    await store_upload(store, second)

    assert second == await store.get(second.ref)


@on_every_topology
async def test_of_many_creations_with_one_idempotency_key_one_wins(store: MetadataStore) -> None:
    """However many requests with one idempotency key come at once, they end with one record."""
    records = [new_upload(idempotency_key="again") for _ in range(8)]
    results = await asyncio.gather(*(store_upload(store, record) for record in records), return_exceptions=True)
    winner = records[results.index(None)]

    assert 1 == results.count(None)
    assert [winner] * 7 == [result.existing for result in results if isinstance(result, AlreadyExists)]


async def test_replace_needs_the_newest_revision(store: MetadataStore) -> None:
    """Whoever read an older revision changes nothing."""
    first = new_upload()
    await store_upload(store, first)
    second = changed(first, offset=1)
    await replace_upload(store, first, second)
    with pytest.raises(PreconditionFailed):
        await replace_upload(store, first, changed(first, offset=2))

    assert second == await store.get(first.ref)


async def test_replace_needs_a_record(store: MetadataStore) -> None:
    """What was never created cannot be replaced."""
    record = new_upload()
    with pytest.raises(PreconditionFailed):
        await replace_upload(store, record, changed(record))

    with pytest.raises(NotFound):
        await store.get(record.ref)


@pytest.mark.parametrize("steps", [0, 2, -1])
async def test_the_revision_grows_by_one(store: MetadataStore, steps: int) -> None:
    """A replacement with another than the next revision is an error of the caller, and changes nothing."""
    record = new_upload(revision=5)
    await store_upload(store, record)
    with pytest.raises(ValueError, match="revision"):
        await replace_upload(store, record, new_upload(key=record.key, revision=5 + steps))

    assert record == await store.get(record.ref)


@on_every_topology
async def test_of_concurrent_replaces_exactly_one_wins(store: MetadataStore) -> None:
    """When eight change the same revision at once, one change is stored whole, and the others are told."""
    record = new_upload()
    await store_upload(store, record)
    wanted = [changed(record, offset=number, name=f"number {number}") for number in range(1, 9)]
    results = await asyncio.gather(*(replace_upload(store, record, new) for new in wanted), return_exceptions=True)

    assert 1 == results.count(None)
    assert 7 == sum(isinstance(result, PreconditionFailed) for result in results)
    assert wanted[results.index(None)] == await store.get(record.ref)


@on_every_topology
async def test_due(store: MetadataStore) -> None:
    """What expires at or before now is due, the longest due first; what never expires never is."""
    offsets = {"later": 0.001, "now": 0.0, "long ago": -1000.0, "before": -1.0, "never": None}
    for name, offset in offsets.items():
        await store_upload(store, new_upload(name=name, expires_at=None if offset is None else NOW + offset))

    assert ["long ago", "before", "now"] == [record.name for record in await store.due(NOW, 10)]
    assert ["long ago", "before"] == [record.name for record in await store.due(NOW, 2)]
    assert [] == list(await store.due(NOW - 1001, 10))


@pytest.mark.parametrize("page", [1, 2, 3, 7, 8])
async def test_due_page_by_page(store: MetadataStore, page: int) -> None:
    """Every due record is on one page, though more of them are due at the same moment than a page has room for."""
    times = [NOW - 1, *[NOW] * 5, 0.0]
    records = [new_upload(tenant=(TENANT, OTHER_TENANT)[number % 2], expires_at=time) for number, time in enumerate(times)]
    for record in records:
        await store_upload(store, record)
    found: list[UploadRecord] = []
    while more := await store.due(NOW, page, found[-1] if found else None):
        found += more

    assert sorted(records, key=lambda record: (record.expires_at, record.key)) == found


async def test_due_goes_on_after_what_changed(store: MetadataStore) -> None:
    """The next page begins after the place of the last one, whatever became of the record there."""
    records = sorted((new_upload(expires_at=NOW) for _ in range(4)), key=lambda record: record.key)
    for record in records:
        await store_upload(store, record)
    first, last = await store.due(NOW, 2)
    await replace_upload(store, first, changed(first, expires_at=None))
    await replace_upload(store, last, changed(last, expires_at=NOW + 60))

    assert records[:2] == [first, last]
    assert records[2:] == list(await store.due(NOW, 2, last))


async def test_due_follows_the_newest_revision(store: MetadataStore) -> None:
    """An upload that made progress, or ended, is due when its newest revision says so."""
    slides, ends, begins = (new_upload(expires_at=expires_at) for expires_at in (NOW, NOW, None))
    for record, expires_at in ((slides, NOW + 1), (ends, None), (begins, NOW)):
        await store_upload(store, record)
        await replace_upload(store, record, changed(record, expires_at=expires_at))

    assert [changed(begins, expires_at=NOW)] == list(await store.due(NOW, 10))


@on_every_topology
async def test_due_of_every_tenant(store: MetadataStore) -> None:
    """The sweeper works for all tenants."""
    for tenant in (TENANT, OTHER_TENANT):
        await store_upload(store, new_upload(tenant=tenant, expires_at=NOW))

    assert {TENANT, OTHER_TENANT} == {record.tenant for record in await store.due(NOW, 10)}


@on_every_topology
async def test_every_upload(store: MetadataStore) -> None:
    """Every record of every tenant is found, whatever became of it."""
    records = [
        new_upload(tenant=(TENANT, OTHER_TENANT)[number % 2], state=[*State][number % len(State)], expires_at=NOW)
        for number in range(30)
    ]
    for record in records:
        await store_upload(store, record)
    found = [record async for record in store.uploads()]

    assert records == sorted(found, key=lambda record: [each.key for each in records].index(record.key))


@on_every_topology
async def test_secrets(store: MetadataStore) -> None:
    """A secret is made once, however many ask for it at once, and is nobody else's."""
    values = await asyncio.gather(*(store.secret("one") for _ in range(8)))

    assert 1 == len(set(values))
    assert SECRET_BYTES == len(values[0])
    assert values[0] == await store.secret("one")
    assert values[0] != await store.secret("other")


@on_every_topology
async def test_ping(store: MetadataStore) -> None:
    """A store that can take facts says so by returning."""
    await store.ping()


@on_every_topology
async def test_notes(store: MetadataStore) -> None:
    """Of a note the last text counts; one that was never written is not there."""
    await store.write_note("one", "first")
    await store.write_note("one", "l\u00e4st")
    await store.write_note("other", "")

    assert ["l\u00e4st", "", None] == [await store.note(name) for name in ("one", "other", "none")]


@pytest.mark.parametrize("count", [0, 1, 250])
async def test_many_records(store: MetadataStore, count: int) -> None:
    """Many records are read at once, in the order that is asked for; one that is not there is told."""
    records = [new_upload() for _ in range(count)]
    for begin in range(0, count, 50):
        await store.commit([Change(old=None, new=record) for record in records[begin : begin + 50]])
    refs = [record.ref for record in reversed(records)]

    assert records[::-1] == list(await store.get_many(refs))
    with pytest.raises(NotFound):
        await store.get_many([*refs, Ref(tenant=TENANT, key=new_key())])
    if refs:
        with pytest.raises(NotFound):
            await store.get_many([Ref(tenant=OTHER_TENANT, key=ref.key) for ref in refs])
