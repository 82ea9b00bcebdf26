"""
The native JSON API: objects of other systems, their slots, and what is in these.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

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
from holdfast.service.protocols.http.wire import Fields, ProtocolError, Request, Response, condition_of
from holdfast.service.protocols.native.resource import (
    Resource,
    attachment_key,
    document_response,
    moment,
    parse_object,
    parse_page,
)
from holdfast.storage.objects import Association, ObjectRecord, SlotRecord
from holdfast.storage.records import UploadRecord


class ObjectList(Resource[ListObjects, ObjectsOutcome]):
    """
    The dialect of ``/api/v1/objects/{kind}``.
    """

    verbs: ClassVar[Mapping[str, str]] = {"GET": "list"}

    def list(self, request: Request) -> ListObjects:
        after, limit, _ = parse_page(request)
        return ListObjects(tenant=request.tenant, kind=self.kind(), after=after, limit=limit)

    def send(self, _request: Request, _command: ListObjects, outcome: ObjectsOutcome) -> Response:
        following = outcome.records[-1].id if outcome.more else None
        return document_response(200, {"items": [_object(record) for record in outcome.records], "next": following})


class Object(Resource[ObjectCommand, ObjectOutcome]):
    """
    The dialect of ``/api/v1/objects/{kind}/{id}``.
    """

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
        slots = {slot.slot: {"etag": slot.etag, "attachments": _active(slot)} for slot in outcome.slots}
        return document_response(200, {**_object(outcome.record), "slots": slots}, (("ETag", f'"{outcome.record.etag}"'),))


class Slot(Resource[SlotCommand, SlotOutcome]):
    """
    The dialect of ``/api/v1/objects/{kind}/{id}/slots/{slot}``.
    """

    verbs: ClassVar[Mapping[str, str]] = {"GET": "get", "PUT": "reorder", "DELETE": "empty"}

    def get(self, request: Request) -> GetSlot:
        return GetSlot(slot=self.slot_ref(request))

    def reorder(self, request: Request) -> Reorder:
        order = parse_object(request, ("order",)).get("order")
        if not isinstance(order, list) or not all(isinstance(key, str) for key in order):
            raise ProtocolError(400, "order_invalid", "order has to be a list of every key in the slot")
        keys = tuple(attachment_key(key) for key in order)
        return Reorder(slot=self.slot_ref(request), order=keys, condition=condition_of(request.fields))

    def empty(self, request: Request) -> Detach:
        return Detach(slot=self.slot_ref(request), key=None, condition=condition_of(request.fields))

    def send(self, _request: Request, _command: SlotCommand, outcome: SlotOutcome) -> Response:
        slot = outcome.slot
        ended = [{**_association(past), "endedAt": moment(past.ended_at), "endedBy": past.ended_by, "ending": past.ending}
                 for past in reversed(slot.ended)]  # fmt: skip
        described = {record.key: _described(record) for record in outcome.attachments}
        active = [{**one, **described.get(one["key"], {})} for one in _active(slot)]
        document = {"kind": slot.kind, "id": slot.id, "slot": slot.slot, "attachments": active, "history": ended}
        etag: Fields = (("ETag", f'"{slot.etag}"'),) if slot.etag else ()
        return document_response(200, document | {"etag": slot.etag}, etag)


class SlotUndo(Slot):
    """
    The dialect of ``…/slots/{slot}/undo``.
    """

    verbs: ClassVar[Mapping[str, str]] = {"POST": "undo"}

    def document_limit(self, _request: Request) -> int:
        return 0

    def undo(self, request: Request) -> Undo:
        return Undo(slot=self.slot_ref(request), condition=condition_of(request.fields))


class SlotEntry(Slot):
    """
    The dialect of ``…/slots/{slot}/attachments/{key}``.
    """

    verbs: ClassVar[Mapping[str, str]] = {"PUT": "attach", "DELETE": "detach"}

    def attach(self, request: Request) -> Attach:
        place = parse_object(request, ("place",)).get("place") if request.document else None
        if place is not None and (not isinstance(place, int) or isinstance(place, bool) or place < 0):
            raise ProtocolError(400, "place_invalid", "place has to be a number from 0 on")
        return Attach(
            ref=self.upload_ref(request),
            slot=self.slot_ref(request),
            place=place,
            condition=condition_of(request.fields),
        )

    def detach(self, request: Request) -> Detach:
        key = attachment_key(self.names["key"])
        return Detach(slot=self.slot_ref(request), key=key, condition=condition_of(request.fields))


def _object(record: ObjectRecord) -> dict[str, Any]:
    return {
        "kind": record.kind,
        "id": record.id,
        "etag": record.etag,
        "attributes": json.loads(record.attributes),
        "createdAt": moment(record.created_at),
        "updatedAt": moment(record.updated_at),
        "updatedBy": record.updated_by,
    }


def _active(slot: SlotRecord) -> list[dict[str, Any]]:
    return [_association(association) for association in slot.active]


def _described(record: UploadRecord) -> dict[str, Any]:
    return {"name": record.name, "contentType": record.content_type, "length": record.length}


def _association(association: Association) -> dict[str, Any]:
    return {
        "key": association.attachment,
        "association": association.id,
        "attachedAt": moment(association.attached_at),
        "attachedBy": association.attached_by,
    }
