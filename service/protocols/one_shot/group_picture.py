"""
The picture of an organization's group in Ellipsis Drive: a request with an image as base64 or as a data: URL.

Its official client treats only 200 as success, and shows the text of other responses.
"""

from __future__ import annotations

import json

from holdfast.service.core import errors
from holdfast.service.core.commands import ObjectOutcome, PictureCommand, SetPicture
from holdfast.service.core.errors import UploadError
from holdfast.service.core.names import canonical_guid
from holdfast.service.core.policies import Policy
from holdfast.service.protocols.http.fields import media_type_is
from holdfast.service.protocols.http.picture_urls import ORIGINAL, avatar_url
from holdfast.service.protocols.http.wire import (
    RETRY_AFTER,
    Fields,
    ProtocolError,
    Refusal,
    Request,
    Response,
    condition_of,
    refusal_of,
    to_json,
)
from holdfast.storage.objects import ObjectRecord
from holdfast.storage.records import SlotRef

METHODS = ("Allow", "PATCH, OPTIONS")

REFUSALS: dict[type[UploadError], Refusal] = {
    errors.Forbidden: Refusal(403, "forbidden"),
    errors.ObjectNotFound: Refusal(404, "group_not_found"),
    errors.UploadNotFound: Refusal(404, "group_not_found"),
    errors.SlotChanged: Refusal(412, "group_changed"),
    errors.SlotBusy: Refusal(503, "slot_busy", (("Retry-After", "1"),)),
    errors.NotAccepted: Refusal(400, "unsupported_image"),
    errors.ImageInvalid: Refusal(400, "image_invalid"),
    errors.ImageTooLarge: Refusal(400, "image_too_large"),
    errors.TooLarge: Refusal(400, "image_too_large"),
    errors.ContentRejected: Refusal(400, "unsupported_image"),
    errors.ContentCut: Refusal(400, "document_cut"),
    errors.ManagedElsewhere: Refusal(409, "managed_externally"),
    errors.OutOfSpace: Refusal(507, "out_of_space"),
    errors.UploadError: Refusal(503, "store_failed", (("Retry-After", RETRY_AFTER),)),
}


class GroupPicture:
    """The dialect of ``/organization/group/{groupId}/profile``."""

    def __init__(self, group: str, *, policy: Policy) -> None:
        self._group = group
        self._policy = policy

    def document_limit(self, _request: Request) -> int:
        return 0

    def receive(self, request: Request) -> PictureCommand | Response:
        if request.method == "OPTIONS":
            return Response(status=204, fields=(METHODS,))
        if request.method != "PATCH":
            raise ProtocolError(405, "method_not_allowed", f"this URL does not support {request.method}", (METHODS,))
        group = canonical_guid(self._group)
        if group is None:
            raise ProtocolError(400, "group_id_invalid", "groupId has to be a UUID")
        if not media_type_is(request.fields, "application/json"):
            raise ProtocolError(415, "unsupported_media_type", "send application/json")
        slot = SlotRef(tenant=request.tenant, kind=self._policy.kind, id=group, slot=self._policy.slot)
        return SetPicture(slot=slot, condition=condition_of(request.fields))

    def admit(self, group: ObjectRecord) -> None:
        pass  # every group has a picture

    def send(self, request: Request, _command: PictureCommand, outcome: ObjectOutcome) -> Response:
        record = outcome.record
        held = (slot.active for slot in outcome.slots if slot.slot == self._policy.slot and slot.active)
        key = next((active[0].attachment for active in held), None)
        picture = None  # another request has already removed it
        if key is not None:
            sizes = {str(size): request.prefix + avatar_url(record.tenant, key, str(size)) for size in self._policy.renditions}
            picture = {"url": request.prefix + avatar_url(record.tenant, key, ORIGINAL), "sizes": sizes}
        document = {"id": record.id, "name": json.loads(record.attributes).get("name"), "picture": picture}
        fields = (("ETag", f'"{record.etag}"'), ("Content-Type", "application/json"), ("Cache-Control", "no-store"))
        return Response(status=200, fields=fields, content=to_json(document))

    def reject(self, _request: Request, error: ProtocolError | UploadError) -> Response:
        if isinstance(error, ProtocolError):
            return _text(error.status, error.code, str(error), error.fields)
        if isinstance(error, errors.ContentRejected) and error.why is not None:
            error = error.why
        refusal = refusal_of(REFUSALS, error)
        return _text(refusal.status, refusal.code, str(error), refusal.fields)


def _text(status: int, code: str, message: str, fields: Fields) -> Response:
    kind = (("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store"))
    return Response(status=status, fields=(*fields, *kind), content=f"{code}: {message}\n".encode())
