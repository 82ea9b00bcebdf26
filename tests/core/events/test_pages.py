"""
Pages of events, over every kind of store.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from holdfast.service.core.commands import EventFilter, EventsOutcome, GetEvents
from holdfast.service.core.events import pages as event_pages
from holdfast.service.core.events.pages import read_page
from holdfast.storage.keys import new_key
from holdfast.storage.objects import Event
from holdfast.storage.ports.metadata import MetadataStore
from holdfast.storage.records import Key, ObjectRef, Subject
from tests.storage.backends import METADATA_STORES, TENANT, usual
from tests.storage.places import Place
from tests.storage.ports.test_metadata_store_objects import new_event

ONE, OTHER = new_key(), new_key()
USER = ObjectRef(tenant=TENANT, kind="user", id="7")
EVENTS = [
    new_event(
        type="attachment.attached" if number % 2 else "upload.created",
        attachment=(ONE, OTHER, None)[number % 3],
        actor=Subject("kelp") if number % 5 else None,
        kind="user" if number % 4 else None,
        object_id=("7", "8")[number % 7 == 0] if number % 4 else None,
    )
    for number in range(60)
]
FILTERS = {
    "nothing": {},
    "type": {"type": "upload.created"},
    "attachment": {"attachment": ONE},
    "object": {"object": USER},
    "actor": {"actor": "kelp"},
    "all": {"type": "upload.created", "attachment": ONE, "object": USER, "actor": "kelp"},
    "a type that never was": {"type": "upload.flown"},
}


@pytest.fixture(params=usual(METADATA_STORES))
async def metadata(request: pytest.FixtureRequest, place: Place) -> AsyncIterator[MetadataStore]:
    """Return a metadata store of the usual kinds, with events in it."""
    store = METADATA_STORES[request.param](place)
    await store.commit([], events=EVENTS)
    yield store
    await store.close()


def is_wanted(event: Event, given: dict[str, Any]) -> bool:
    """Say whether an event agrees with all that a filter gives."""
    told = {"type": event.type, "attachment": event.attachment, "actor": event.actor}
    of = None if event.kind is None else ObjectRef(tenant=TENANT, kind=event.kind, id=event.object_id or "")
    return all(({**told, "object": of})[name] == value for name, value in given.items())


async def page(metadata: MetadataStore, given: dict[str, Any], after: str, limit: int, of: Key | None = None) -> EventsOutcome:
    """Return one page."""
    return await read_page(
        metadata, GetEvents(tenant=TENANT, attachment=of, after=after, limit=limit, wanted=EventFilter(**given))
    )


@pytest.mark.parametrize("given", FILTERS.values(), ids=FILTERS.keys())
@pytest.mark.parametrize("of", [None, OTHER], ids=["everything", "one attachment"])
async def test_filters(metadata: MetadataStore, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], of: Key | None) -> None:
    """Every event that is wanted is on exactly one page, in order; the last page says that there are no more."""
    monkeypatch.setattr(event_pages, "MOST_AT_ONCE", 7)
    found: list[Event] = []
    position, more = "", True
    while more:
        outcome = await page(metadata, given, position, 4, of)
        assert len(outcome.events) <= 4
        found += [logged.event for logged in outcome.events]
        position, more = outcome.position, outcome.more

    assert [event for event in EVENTS if is_wanted(event, given) and of in (None, event.attachment)] == found


async def test_one_request_looks_at_so_much(metadata: MetadataStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A filter that finds nothing does not read the whole log: the page is empty, and says where to go on from."""
    monkeypatch.setattr(event_pages, "MOST_AT_ONCE", 10)
    monkeypatch.setattr(event_pages, "MOST", 20)
    outcomes = [await page(metadata, {"type": "upload.flown"}, "", 5)]
    while outcomes[-1].more:
        outcomes.append(await page(metadata, {"type": "upload.flown"}, outcomes[-1].position, 5))

    assert {()} == {outcome.events for outcome in outcomes}
    assert [True] * 3 == [outcome.more for outcome in outcomes[:-1]]
    assert 4 == len({outcome.position for outcome in outcomes}) + 1


async def test_an_empty_page_repeats_where_it_began(metadata: MetadataStore) -> None:
    """Behind the last event is the same position, until there is another one; before the first is none."""
    last = (await page(metadata, {}, "", 100)).position
    again = await page(metadata, {}, last, 100)
    late = new_event()
    await metadata.commit([], events=[late])
    news = await page(metadata, {}, again.position, 100)

    assert ((), last, False) == (again.events, again.position, again.more)
    assert [late] == [logged.event for logged in news.events]
