"""Pages of events that match a filter, found without reading the whole log."""

from __future__ import annotations

from holdfast.service.core.commands import EventFilter, EventsOutcome, GetEvents
from holdfast.storage.objects import Event, LoggedEvent
from holdfast.storage.ports.metadata import MetadataStore

MOST_AT_ONCE = 500
"""Events that are read at once; other requests run in between."""
MOST = 10_000
"""Events after which a page ends, however few matched: the client goes on from there with its next request."""


async def read_page(metadata: MetadataStore, command: GetEvents) -> EventsOutcome:
    """
    Return the next events that match *command*.

    :raises UnknownPosition, Unavailable: see `MetadataStore.events`.
    """
    wanted, position = command.wanted, command.after
    attachment = command.attachment or wanted.attachment
    # Without a filter every event matches, and one more than the limit shows whether there are others.
    at_once = command.limit + 1 if wanted == EventFilter() else MOST_AT_ONCE
    found: list[LoggedEvent] = []
    seen = 0
    while True:
        page = await metadata.events(command.tenant, position, at_once, attachment)
        for logged in page:
            if _matches(logged.event, wanted):
                if len(found) == command.limit:
                    return EventsOutcome(events=tuple(found), position=position, more=True)
                found.append(logged)
            position = logged.position
        seen += len(page)
        if len(page) < at_once or seen >= MOST:
            return EventsOutcome(events=tuple(found), position=position, more=len(page) == at_once)


def _matches(event: Event, wanted: EventFilter) -> bool:
    of = wanted.object
    return (
        wanted.type in (None, event.type)
        and wanted.attachment in (None, event.attachment)
        and wanted.actor in (None, event.actor)
        and (of is None or (of.kind, of.id) == (event.kind, event.object_id))
    )
