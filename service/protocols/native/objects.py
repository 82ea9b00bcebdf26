"""The native JSON API: objects of other systems, their slots, and the attachments in these."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import ClassVar, cast

from holdfast.service.core.commands import (
    Attach,
    DeleteObject,
    Detach,
    GetObject,
    GetSlot,
    ListObjects,
    ObjectCommand,
    ObjectOutcome,
    ObjectsOutcome,
    Register,
    Reorder,
    SlotCommand,
    SlotOutcome,
    Undo,
)
from holdfast.service.protocols.http.wire import Fields, Request, Response, condition_of
from holdfast.service.protocols.native import documents
from holdfast.service.protocols.native.documents import Order, Place
from holdfast.service.protocols.native.resource import (
    Resource,
    attachment_key,
    document_response,
    moment,
    parse_document,
    parse_object,
    parse_page,
)
from holdfast.storage.objects import Association, ObjectRecord
from holdfast.storage.records import UploadRecord


class ObjectList(Resource[ListObjects, ObjectsOutcome]):
    """The dialect of ``/api/v1/objects/{kind}``."""

    verbs: ClassVar[Mapping[str, str]] = {"GET": "list"}

    def list(self, request: Request) -> ListObjects:
        after, limit, _ = parse_page(request)
        return ListObjects(tenant=request.tenant, kind=self.kind(), after=after, limit=limit)

    def send(self, _request: Request, _command: ListObjects, outcome: ObjectsOutcome) -> Response:
        following = outcome.records[-1].id if outcome.more else None
        page: documents.ObjectsDocument = {"items": [_object(record) for record in outcome.records], "next": following}
        return document_response(200, page)


class Object(Resource[ObjectCommand, ObjectOutcome]):
    """The dialect of ``/api/v1/objects/{kind}/{id}``."""

    verbs: ClassVar[Mapping[str, str]] = {"GET": "get", "PUT": "register", "DELETE": "delete"}

    def get(self, request: Request) -> GetObject:
        return GetObject(ref=self.object_ref(request))

    def register(self, request: Request) -> Register:
        attributes = json.dumps(parse_object(request), sort_keys=True, separators=(",", ":"))
        condition = condition_of(request.fields)
        return Register(ref=self.object_ref(request), attributes=attributes, condition=condition)

    def delete(self, request: Request) -> DeleteObject:
        return DeleteObject(ref=self.object_ref(request), condition=condition_of(request.fields))

    def send(self, _request: Request, command: ObjectCommand, outcome: ObjectOutcome) -> Response:
        if isinstance(command, DeleteObject):
            return Response(status=204)
        slots: dict[str, documents.SlotContentDocument] = {
            slot.slot: {"etag": slot.etag, "attachments": [_association(association) for association in slot.active]}
            for slot in outcome.slots
        }
        document: documents.ObjectDocument = {**_object(outcome.record), "slots": slots}
        return document_response(200, document, (("ETag", f'"{outcome.record.etag}"'),))


class Slot(Resource[SlotCommand, SlotOutcome]):
    """The dialect of ``/api/v1/objects/{kind}/{id}/slots/{slot}``."""

    verbs: ClassVar[Mapping[str, str]] = {"GET": "get", "PUT": "reorder", "DELETE": "empty"}

    def get(self, request: Request) -> GetSlot:
        return GetSlot(slot=self.slot_ref(request))

    def reorder(self, request: Request) -> Reorder:
        keys = tuple(attachment_key(key) for key in parse_document(request, Order).order)
        return Reorder(slot=self.slot_ref(request), order=keys, condition=condition_of(request.fields))

    def empty(self, request: Request) -> Detach:
        return Detach(slot=self.slot_ref(request), key=None, condition=condition_of(request.fields))

    def send(self, _request: Request, _command: SlotCommand, outcome: SlotOutcome) -> Response:
        slot = outcome.slot
        history: list[documents.PastDocument] = [
            {**_association(past), "endedAt": moment(past.ended_at), "endedBy": past.ended_by, "ending": past.ending}
            for past in reversed(slot.ended)
        ]
        records = {record.key: record for record in outcome.attachments}
        active = [_attached(association, records.get(association.attachment)) for association in slot.active]
        document: documents.SlotDocument = {
            "kind": slot.kind,
            "id": slot.id,
            "slot": slot.slot,
            "attachments": active,
            "history": history,
            "etag": slot.etag,
        }
        etag: Fields = (("ETag", f'"{slot.etag}"'),) if slot.etag else ()
        return document_response(200, document, etag)


class SlotUndo(Slot):
    """The dialect of ``…/slots/{slot}/undo``."""

    verbs: ClassVar[Mapping[str, str]] = {"POST": "undo"}

    def document_limit(self, _request: Request) -> int:
        return 0

    def undo(self, request: Request) -> Undo:
        return Undo(slot=self.slot_ref(request), condition=condition_of(request.fields))


class SlotEntry(Slot):
    """The dialect of ``…/slots/{slot}/attachments/{key}``."""

    verbs: ClassVar[Mapping[str, str]] = {"PUT": "attach", "DELETE": "detach"}

    def attach(self, request: Request) -> Attach:
        place = parse_document(request, Place).place if request.document else None
        return Attach(
            ref=self.upload_ref(request),
            slot=self.slot_ref(request),
            place=place,
            condition=condition_of(request.fields),
        )

    def detach(self, request: Request) -> Detach:
        key = attachment_key(self.names["key"])
        return Detach(slot=self.slot_ref(request), key=key, condition=condition_of(request.fields))


def _object(record: ObjectRecord) -> documents.ObjectSummaryDocument:
    return {
        "kind": record.kind,
        "id": record.id,
        "etag": record.etag,
        "attributes": json.loads(record.attributes),
        "createdAt": moment(record.created_at),
        "updatedAt": moment(record.updated_at),
        "updatedBy": record.updated_by,
    }


def _attached(association: Association, record: UploadRecord | None) -> documents.AttachedDocument:
    if record is None:
        return cast(documents.AttachedDocument, _association(association))
    described = _association(association)
    return {**described, "name": record.name, "contentType": record.content_type, "length": record.length}


def _association(association: Association) -> documents.AssociationDocument:
    return {
        "key": association.attachment,
        "association": association.id,
        "attachedAt": moment(association.attached_at),
        "attachedBy": association.attached_by,
    }
