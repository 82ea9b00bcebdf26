"""The native JSON API: attachments, their events, and signed links to them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import quote

from holdfast.service.core.commands import (
    AttachmentCommand,
    Cancel,
    EventFilter,
    EventsOutcome,
    GetAttachment,
    GetEvents,
    LinkOutcome,
    MakeLink,
    Outcome,
)
from holdfast.service.core.names import is_kind, object_id
from holdfast.service.core.principals import Capability
from holdfast.service.protocols.http.wire import ProtocolError, Request, Response
from holdfast.service.protocols.native import documents
from holdfast.service.protocols.native.documents import NewLink
from holdfast.service.protocols.native.resource import (
    Resource,
    document_response,
    moment,
    parse_document,
    parse_page,
)
from holdfast.storage.keys import parse_key
from holdfast.storage.objects import LoggedEvent
from holdfast.storage.records import Key, ObjectRef, Ref, UploadRecord

FILTERED_BY = {
    "type": "the type of an event, as attachment.attached",
    "attachment": "the key of an attachment",
    "object": "the kind and the id of an object, as user/7",
    "actor": "the subject of an account",
}
FILTERS = tuple(FILTERED_BY)
FILTERS_OF_ONE = tuple(name for name in FILTERS if name != "attachment")
EVENT_TYPE = re.compile(r"[a-z_]{1,32}\.[a-z_]{1,32}")
ACTOR = re.compile(r"[^\x00-\x1f\x7f]{1,255}")


class Attachment(Resource[AttachmentCommand, Outcome]):
    """The dialect of ``/api/v1/attachments/{key}``."""

    verbs: ClassVar[Mapping[str, str]] = {"GET": "get", "DELETE": "delete"}

    def get(self, request: Request) -> GetAttachment:
        return GetAttachment(ref=self.upload_ref(request))

    def delete(self, request: Request) -> Cancel:
        return Cancel(ref=self.upload_ref(request))

    def send(self, _request: Request, command: AttachmentCommand, outcome: Outcome) -> Response:
        if isinstance(command, Cancel):
            return Response(status=204)
        return document_response(200, _attachment(outcome.record))


class AttachmentLinks(Resource[MakeLink, LinkOutcome]):
    """The dialect of ``/api/v1/attachments/{key}/links``."""

    verbs: ClassVar[Mapping[str, str]] = {"POST": "sign"}

    def sign(self, request: Request) -> MakeLink:
        wanted = parse_document(request, NewLink)
        return MakeLink(ref=self.upload_ref(request), purpose=wanted.purpose, seconds=wanted.seconds)

    def send(self, request: Request, command: MakeLink, outcome: LinkOutcome) -> Response:
        record = outcome.record
        path = f"/files/{record.key}"
        if command.purpose is Capability.VIEW:
            path = f"/.api2/binaries/{record.key}/download/{quote(record.name or record.key, safe='')}"
        url = None if command.purpose is Capability.ATTACH else request.url(f"{path}?link={outcome.link}")
        document: documents.LinkDocument = {
            "purpose": command.purpose,
            "link": outcome.link,
            "url": url,
            "expiresAt": moment(outcome.expires_at),
        }
        return document_response(201, document)


class Timeline(Resource[GetEvents, EventsOutcome]):
    """The dialect of ``/api/v1/attachments/{key}/events``."""

    verbs: ClassVar[Mapping[str, str]] = {"GET": "timeline"}

    def timeline(self, request: Request) -> GetEvents:
        return _events(request, self.upload_ref(request))

    def send(self, _request: Request, _command: GetEvents, outcome: EventsOutcome) -> Response:
        # The client can use the cursor of the last page again later.  It counts the events of all tenants; their number is no
        # secret, and a counter needs no key that could be lost.
        items = [_event(logged) for logged in outcome.events]
        page: documents.EventsDocument = {"items": items, "next": outcome.position, "more": outcome.more}
        return document_response(200, page)


class Events(Timeline):
    """The dialect of ``/api/v1/events``: all events of the tenant."""

    def timeline(self, request: Request) -> GetEvents:
        return _events(request, None)


def _events(request: Request, ref: Ref | None) -> GetEvents:
    after, limit, filters = parse_page(request, FILTERS if ref is None else FILTERS_OF_ONE)
    key = None if ref is None else ref.key
    wanted = EventFilter(
        type=_filter(filters, "type", EVENT_TYPE),
        attachment=_attachment_filter(filters),
        object=_object_filter(request, filters),
        actor=_filter(filters, "actor", ACTOR),
    )
    return GetEvents(tenant=request.tenant, attachment=key, after=after, limit=limit, wanted=wanted)


def _filter(filters: Mapping[str, str], name: str, grammar: re.Pattern[str]) -> str | None:
    value = filters.get(name)
    if value is not None and not grammar.fullmatch(value):
        raise _filter_invalid(name)
    return value


def _attachment_filter(filters: Mapping[str, str]) -> Key | None:
    value = filters.get("attachment")
    key = None if value is None else parse_key(value)
    if value is not None and key is None:
        raise _filter_invalid("attachment")
    return key


def _object_filter(request: Request, filters: Mapping[str, str]) -> ObjectRef | None:
    value = filters.get("object")
    if value is None:
        return None
    kind, _, name = value.partition("/")
    identifier = object_id(name)
    if identifier is None or not is_kind(kind):
        raise _filter_invalid("object")
    return ObjectRef(tenant=request.tenant, kind=kind, id=identifier)


def _filter_invalid(name: str) -> ProtocolError:
    return ProtocolError(400, "filter_invalid", f"{name} has to be {FILTERED_BY[name]}")


def _attachment(record: UploadRecord) -> documents.AttachmentDocument:
    return {
        "key": record.key,
        "state": record.state,
        "name": record.name,
        "contentType": record.content_type,
        "contentEncoding": record.content_encoding,
        "offset": record.offset,
        "length": record.length,
        "createdAt": moment(record.created_at),
        "createdBy": record.creator,
        "expiresAt": None if record.attached else moment(record.expires_at),
        "attached": [{"kind": slot.kind, "id": slot.id, "slot": slot.slot} for slot in record.attached],
    }


def _event(logged: LoggedEvent) -> documents.EventDocument:
    event = logged.event
    return {
        "id": event.id,
        "type": event.type,
        "at": moment(event.at),
        "actor": event.actor,
        "originator": event.originator,
        "attachment": event.attachment,
        "kind": event.kind,
        "objectId": event.object_id,
        "slot": event.slot,
        "data": json.loads(event.data),
        "cursor": logged.position,
    }
