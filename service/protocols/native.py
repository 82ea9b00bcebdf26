"""
The native JSON API: objects of other systems, and what is in their slots.

Errors are problem details (RFC 9457).
"""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

from service.core import errors
from service.core.commands import GetObject, ObjectCommand, ObjectOutcome, Register
from service.core.errors import UploadError
from service.protocols.fields import canonical_guid, media_type_is
from service.protocols.wire import RETRY_AFTER, Fields, ProtocolError, Refusal, Request, Response, refusal_of, to_json
from storage.objects import SlotRecord
from storage.records import ObjectRef

KiB = 1024
MAX_DOCUMENT = 64 * KiB
METHODS = "GET, HEAD, PUT, OPTIONS"

_KIND = re.compile(r"[a-z][a-z0-9_]{0,63}")
_ID = re.compile(r"[0-9A-Za-z._~=+-]{1,255}")

REFUSALS: dict[type[UploadError], Refusal] = {
    errors.ObjectNotFound: Refusal(404, "object_not_found"),
    errors.SlotBusy: Refusal(503, "slot_busy", (("Retry-After", "1"),)),
    errors.OutOfSpace: Refusal(507, "out_of_space"),
    errors.StoreFailed: Refusal(503, "store_failed", (("Retry-After", RETRY_AFTER),)),
    errors.UploadError: Refusal(400, "refused"),
}


class NativeObject:
    """
    The dialect of ``/api/v1/objects/{kind}/{id}``.
    """

    def __init__(self, ref: ObjectRef) -> None:
        # A GUID is the same however it is written.
        self._ref = dataclasses.replace(ref, id=canonical_guid(ref.id) or ref.id)

    def document_limit(self, request: Request) -> int:
        return MAX_DOCUMENT if request.method == "PUT" else 0

    def receive(self, request: Request) -> ObjectCommand | Response:
        if request.method == "OPTIONS":
            return Response(status=204, fields=(("Allow", METHODS),))
        if request.method not in ("GET", "HEAD", "PUT"):
            raise ProtocolError(405, "method_not_allowed", f"{request.method} means nothing here", (("Allow", METHODS),))
        if not _KIND.fullmatch(self._ref.kind):
            raise ProtocolError(400, "kind_invalid", "a kind is lower-case letters, digits and _, 64 at most")
        if not _ID.fullmatch(self._ref.id):
            raise ProtocolError(400, "id_invalid", "an id is letters, digits and . _ ~ = + -, 255 at most")
        if request.method == "PUT":
            return Register(ref=self._ref, attributes=_attributes(request))
        return GetObject(ref=self._ref)

    def send(self, _request: Request, _command: ObjectCommand, outcome: ObjectOutcome) -> Response:
        record = outcome.record
        document = {
            "kind": record.kind,
            "id": record.id,
            "attributes": json.loads(record.attributes),
            "createdAt": record.created_at,
            "updatedAt": record.updated_at,
            "updatedBy": record.updated_by,
            "slots": {slot.slot: _slot(slot) for slot in outcome.slots},
        }
        return _json(200, document, (("ETag", f'"{record.etag}"'),))

    def reject(self, _request: Request, error: ProtocolError | UploadError) -> Response:
        if isinstance(error, ProtocolError):
            return _problem(error.status, error.code, str(error), error.fields)
        refusal = refusal_of(REFUSALS, error)
        return _problem(refusal.status, refusal.code, str(error), refusal.fields)


def _attributes(request: Request) -> str:
    """Return the document of a registration, in one spelling."""
    if not media_type_is(request.fields, "application/json"):
        raise ProtocolError(415, "unsupported_media_type", "send application/json")
    try:
        value = json.loads(request.document)
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(400, "invalid_document", "the content is not JSON") from error
    if not isinstance(value, dict):
        raise ProtocolError(400, "invalid_document", "the content is not a JSON object")
    return text


def _slot(slot: SlotRecord) -> dict[str, Any]:
    attached = [
        {"key": active.attachment, "attachedAt": active.attached_at, "attachedBy": active.attached_by} for active in slot.active
    ]
    return {"etag": slot.etag, "attachments": attached}


def _json(status: int, document: dict[str, Any], fields: Fields = ()) -> Response:
    kind = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))
    return Response(status=status, fields=(*fields, *kind), content=to_json(document))


def _problem(status: int, code: str, detail: str, fields: Fields) -> Response:
    document = {"type": "about:blank", "title": code, "status": status, "detail": detail}
    kind = (("Content-Type", "application/problem+json"), ("Cache-Control", "no-store"))
    return Response(status=status, fields=(*fields, *kind), content=to_json(document))
