"""The third request of the attachments API (Igloo digital workplace): the client associates an attachment with an object."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qsl

from holdfast.service.core.commands import Attach, Detach, GetSlot, SlotCommand, SlotOutcome
from holdfast.service.core.errors import UploadError
from holdfast.service.protocols.attachments_api.uploads import AttachmentUploads, to_response
from holdfast.service.protocols.http.wire import ProtocolError, Request, Response, condition_of
from holdfast.storage.records import Ref, SlotRef

METHODS = "POST, DELETE, OPTIONS"
MAX_PARAMETERS = 32


class AssociationDialect:
    """The dialect of ``…/attachments/{key}/association/{objectId}?type=SLOT``."""

    def __init__(self, content_range: AttachmentUploads, object_id: str) -> None:
        self.content_range = content_range
        self._object_id = object_id

    def document_limit(self, _request: Request) -> int:
        return 0

    def receive(self, request: Request) -> SlotCommand | Response:
        if request.method == "OPTIONS":
            return Response(status=204, fields=(("Allow", METHODS),))
        if request.method not in ("POST", "DELETE") or request.key is None:
            raise ProtocolError(405, "method_not_allowed", f"this URL does not support {request.method}", (("Allow", METHODS),))
        ref = Ref(tenant=request.tenant, key=request.key)
        slot, condition = self.slot(request), condition_of(request.fields)
        if request.method == "DELETE":
            return Detach(key=request.key, slot=slot, condition=condition)
        return Attach(ref=ref, slot=slot, condition=condition)

    def send(self, request: Request, _command: SlotCommand, outcome: SlotOutcome) -> Response:
        etag = ("ETag", f'"{outcome.slot.etag}"')
        if outcome.record is None:
            return Response(status=204, fields=(etag,))
        return to_response(200, self.content_range.document(request, outcome.record), (etag,))

    def reject(self, request: Request, error: ProtocolError | UploadError) -> Response:
        return self.content_range.reject(request, error)

    def slot(self, request: Request) -> SlotRef:
        """Return the slot that path and query name."""
        slot = _type(request.query)
        kind, identifier = self.content_range.object_of(slot, self._object_id)
        return SlotRef(tenant=request.tenant, kind=kind, id=identifier, slot=slot)


class AttachmentsOfObject(AssociationDialect):
    """The dialect of ``…/objects/{objectId}/attachments?type=SLOT``: the attachments in a slot."""

    def receive(self, request: Request) -> SlotCommand | Response:
        allow = ("Allow", "GET, HEAD, OPTIONS")
        if request.method == "OPTIONS":
            return Response(status=204, fields=(allow,))
        if request.method not in ("GET", "HEAD"):
            raise ProtocolError(405, "method_not_allowed", f"this URL does not support {request.method}", (allow,))
        return GetSlot(slot=self.slot(request))

    def send(self, request: Request, _command: SlotCommand, outcome: SlotOutcome) -> Response:
        items = [self.content_range.document(request, record) for record in outcome.attachments]
        etag = (("ETag", f'"{outcome.slot.etag}"'),) if outcome.slot.etag else ()
        return to_response(200, {"items": items}, etag)


def _type(query: str) -> str:
    """Return the type; the specification writes both "type" and "Type", so case is ignored."""
    try:
        pairs: Sequence[tuple[str, str]] = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError as error:
        raise ProtocolError(400, "type_required", "the query is malformed") from error
    values = [value for name, value in pairs if name.lower() == "type"]
    if len(values) > 1:
        raise ProtocolError(400, "repeated_value", "the query has type twice")
    if not values or not values[0]:
        raise ProtocolError(400, "type_required", "type is missing from the query")
    return values[0]
