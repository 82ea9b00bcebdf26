"""
The attachments API of the Igloo digital workplace: POST a JSON or form document, then PATCH content with Content-Range.

Quotations are from its specification; comments name what its clients rely on.
"""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote

from holdfast.service.core import errors, names
from holdfast.service.core.commands import Append, Cancel, Command, Completes, Create, GetOffset, Outcome
from holdfast.service.core.content.content import Stop
from holdfast.service.core.content.media_types import is_undeclared
from holdfast.service.core.content.sniffing import canonical
from holdfast.service.core.errors import UploadError
from holdfast.service.protocols.http.fields import (
    HUGE,
    imf_fixdate,
    media_type_is,
    parse_content_range,
    parse_integer,
    parse_media_type,
)
from holdfast.service.protocols.http.wire import (
    RETRY_AFTER,
    Fields,
    ProtocolError,
    Refusal,
    Request,
    Response,
    method_not_allowed,
    refusal_of,
    to_json,
)
from holdfast.service.protocols.intents import intent_of
from holdfast.storage.records import Ref, State, Tenant, UploadRecord

MAX_DOCUMENT = 16 * 1024  # bytes
MAX_IDEMPOTENCY_KEY = 255  # bytes
# Names of members match in any case; messages spell them as clients do.
SPELLED = {"contenttype": "contentType", "objectid": "objectId"}

USER = "user"
PROFILE_PHOTO = "ProfilePhoto"

COLLECTION = "POST, OPTIONS"
ENTRY = "PATCH, HEAD, GET, DELETE, OPTIONS"

# "Accepts: image/jpg, image/png, image/gif", in their registered names.
ACCEPTED = frozenset({"image/jpeg", "image/png", "image/gif"})
UNKNOWN = "application/octet-stream"

REFUSALS: dict[type[UploadError], Refusal] = {
    errors.UploadNotFound: Refusal(404, "not_found"),
    # After a 410 the client creates a new entry.
    errors.UploadGone: Refusal(410, "gone"),
    errors.ContentLost: Refusal(410, "content_lost"),
    errors.UploadAttached: Refusal(409, "attached"),
    errors.OffsetMismatch: Refusal(409, "offset_conflict"),
    errors.LengthMismatch: Refusal(400, "length_mismatch"),
    errors.LengthExceeded: Refusal(400, "length_mismatch"),
    errors.TooLarge: Refusal(413, "too_large"),
    errors.TypeMismatch: Refusal(415, "content_type_mismatch"),
    errors.ContentRejected: Refusal(415, "content_type_mismatch"),
    errors.ContentConflict: Refusal(409, "content_conflict"),
    errors.AlreadyComplete: Refusal(409, "already_complete"),
    errors.IdempotencyConflict: Refusal(422, "idempotency_conflict"),
    errors.Evicted: Refusal(423, "upload_taken_over", (("Retry-After", "1"),)),
    errors.OutOfSpace: Refusal(507, "out_of_space"),
    errors.FinishFailed: Refusal(503, "finish_failed", (("Retry-After", RETRY_AFTER),)),
    errors.StoreFailed: Refusal(503, "store_failed", (("Retry-After", RETRY_AFTER),)),
    errors.UploadIncomplete: Refusal(409, "upload_incomplete"),
    errors.ObjectNotFound: Refusal(404, "object_not_found"),
    errors.SlotUnknown: Refusal(400, "type_unknown"),
    errors.SlotChanged: Refusal(412, "slot_changed"),
    errors.SlotBusy: Refusal(503, "slot_busy", (("Retry-After", "1"),)),
    errors.SlotFull: Refusal(409, "slot_full"),
    errors.NotAttached: Refusal(404, "not_attached"),
    errors.ManagedElsewhere: Refusal(409, "managed_externally"),
    errors.NotAccepted: Refusal(415, "content_type_not_accepted"),
    errors.ImageInvalid: Refusal(422, "image_invalid"),
    errors.ImageTooLarge: Refusal(413, "image_too_large"),
    errors.Forbidden: Refusal(403, "forbidden"),
    errors.NothingToUndo: Refusal(409, "nothing_to_undo"),
    errors.UploadError: Refusal(400, "refused"),
}


class AttachmentUploads:
    """
    The dialect of the attachments API.

    *default_tenant* is the community of URLs that name none; *kinds* maps the name of a slot to the kind of its objects.
    """

    def __init__(self, default_tenant: Tenant, kinds: Mapping[str, str]) -> None:
        self._default_tenant = default_tenant
        self.kinds = kinds

    def document_limit(self, request: Request) -> int:
        return MAX_DOCUMENT if request.method == "POST" else 0

    def receive(self, request: Request) -> Command | Response:
        match request.method, request.key:
            case "POST", None:
                return self._create(request)
            case "PATCH", key if key is not None:
                return self._append(request, Ref(tenant=request.tenant, key=key))
            case (("HEAD" | "GET"), key) if key is not None:
                ref = Ref(tenant=request.tenant, key=key)
                return GetOffset(ref=ref, completes=Completes.AT_LENGTH)
            case "DELETE", key if key is not None:
                return Cancel(ref=Ref(tenant=request.tenant, key=key))
            case "OPTIONS", _:
                return Response(status=204, fields=(("Allow", COLLECTION if request.key is None else ENTRY),))
        raise method_not_allowed(request, collection=COLLECTION, entry=ENTRY)

    def send(self, request: Request, command: Command, outcome: Outcome) -> Response:
        record = outcome.record
        match command:
            case Create():
                # Path-absolute, ending with the key, without a query: the known client parses it so.
                location = f"{request.prefix}/.api2/api/v1/communities/{record.tenant}/attachments/uploads/{record.key}"
                return to_response(201, self.document(request, record), (("Location", location),))
            case Cancel():
                return Response(status=204)
            case Append() if outcome.stopped is Stop.IDLE:
                return self.reject(
                    request, ProtocolError(408, "content_timeout", "the client sent content too slowly; resume at the offset")
                )
            case Append() | GetOffset() if record.state is State.COMPLETE:
                return to_response(200, self.document(request, record), (("Upload-Offset", str(record.offset)),))
            case _:
                return to_response(202, self.document(request, record), _progress(record))

    def reject(self, request: Request, error: ProtocolError | UploadError) -> Response:
        if isinstance(error, ProtocolError):
            return to_response(error.status, {"code": error.code, "message": str(error)}, error.fields)
        refusal = refusal_of(REFUSALS, error)
        document: dict[str, Any] = {"code": refusal.code, "message": str(error)}
        fields = refusal.fields
        if error.record is not None and error.record.state is State.OPEN and not isinstance(error, errors.UploadGone):
            document |= {"offset": error.record.offset, "nextExpectedRanges": [f"{error.record.offset}-"]}
            fields = (*fields, *_progress(error.record))
        return to_response(refusal.status, document, fields)

    def _create(self, request: Request) -> Create:
        values = _parse_document(request)
        # Browsers send an empty type for files whose type they do not know.
        kind = parse_media_type(_text(values, "contenttype") or UNKNOWN)
        if kind is None:
            raise ProtocolError(400, "contenttype_invalid", "contentType has to be a media type")
        attach_to = intent_of(request, self._attach_to(values))
        # A named slot has its own list of accepted types.
        if attach_to is None and canonical(kind) not in ACCEPTED and not is_undeclared(kind):
            raise ProtocolError(415, "content_type_not_accepted", "contentType has to be image/jpeg, image/png or image/gif")
        length = _length(values)
        idempotency_key = request.fields.get("idempotency-key") or None
        if idempotency_key is not None and len(idempotency_key) > MAX_IDEMPOTENCY_KEY:
            raise ProtocolError(400, "idempotency_key_too_long", f"Idempotency-Key is limited to {MAX_IDEMPOTENCY_KEY} bytes")
        return Create(
            tenant=request.tenant,
            completes=Completes.AT_LENGTH,
            length=length,
            content_length=0,
            name=_file_name(values),
            content_type=kind,
            verify_type=True,
            idempotency_key=idempotency_key,
            intent=attach_to,
        )

    def _append(self, request: Request, ref: Ref) -> Append | GetOffset:
        value = request.fields.get("content-range")
        if value is None:
            raise ProtocolError(400, "content_range_required", "Content-Range is missing")
        content_range = parse_content_range(value)
        if content_range is None:
            message = "Content-Range has to be bytes FIRST-LAST/LENGTH, without other spaces, and FIRST <= LAST < LENGTH"
            raise ProtocolError(400, "content_range_invalid", message)
        if content_range.first is None or content_range.last is None:
            # "query the status of an upload": bytes */LENGTH, and no content.
            if request.content_length != 0:
                raise ProtocolError(400, "content_length_mismatch", "send a status query (bytes */LENGTH) without content")
            length = content_range.length
            return GetOffset(ref=ref, completes=Completes.AT_LENGTH, length=length)
        if request.content_length is None or "content-length" not in request.fields:
            raise ProtocolError(411, "content_length_required", "Content-Length is missing")
        if request.content_length != content_range.last - content_range.first + 1:
            message = "Content-Length has to be LAST - FIRST + 1 of Content-Range"
            raise ProtocolError(400, "content_length_mismatch", message)
        kind = request.fields.get("content-type")
        if kind is None:
            raise ProtocolError(400, "content_type_required", "Content-Type is missing")
        return Append(
            ref=ref,
            offset=content_range.first,
            completes=Completes.AT_LENGTH,
            content_length=request.content_length,
            length=content_range.length,
            content_type=kind,
            compares=True,
        )

    def _attach_to(self, values: Mapping[str, object]) -> str | None:
        """Return the slot that ``objectId`` and ``type`` name, as KIND/ID/SLOT; None if both are missing."""
        if values.get("objectid") is None and values.get("type") is None:
            return None
        kind, identifier = self.object_of(_text(values, "type"), _text(values, "objectid"))
        return f"{kind}/{identifier}/{values['type']}"

    def object_of(self, slot: str, identifier: str) -> tuple[str, str]:
        """
        Return kind and id of the object with *slot* that *identifier* names.

        :raises ProtocolError: the slot is unknown, or the identifier is malformed.
        """
        if slot not in self.kinds:
            raise ProtocolError(400, "type_unknown", f"type has to be one of {', '.join(sorted(self.kinds))}")
        kind = self.kinds[slot]
        # "objectId: GUID, the ID of the object to associate": this holds for users; objects of other systems have other ids.
        found = names.canonical_guid(identifier) if kind == USER else names.object_id(identifier)
        if found is None:
            grammar = "has to be a GUID" if kind == USER else "has to be 1 to 255 letters, digits and . _ ~ = + -"
            raise ProtocolError(400, "object_id_invalid", f"objectId {grammar}")
        return kind, found

    def document(self, request: Request, record: UploadRecord) -> Mapping[str, Any]:
        """Return the members of the JSON document for an attachment; offsets and lengths are bytes."""
        document: dict[str, Any] = {
            "key": record.key,
            "name": record.name,
            "contentType": record.content_type,
            "contentLength": record.length,
            "binaryLocation": self._location(request, record, "download"),
            "thumbnailLocation": self._location(request, record, "thumbnails"),
            "isProfilePhoto": any(slot.slot == PROFILE_PHOTO for slot in record.attached),
            "offset": record.offset,
        }
        if record.state is not State.COMPLETE:
            document["nextExpectedRanges"] = [f"{record.offset}-"]
            document["expiresAt"] = None if record.expires_at is None else imf_fixdate(record.expires_at)
        return document

    def _location(self, request: Request, record: UploadRecord, what: str) -> str | None:
        """Return the path-absolute URL of *what* (``download`` or ``thumbnails``); None until the upload is complete."""
        if record.state is not State.COMPLETE:
            return None
        path = f"{request.prefix}/.api2/binaries/{record.key}/{what}/{quote(record.name or record.key, safe='')}"
        # These URLs have no community in their path, so the query names it unless it is the default.
        return path if record.tenant == self._default_tenant else f"{path}?communityKey={quote(record.tenant, safe='')}"


def _parse_document(request: Request) -> Mapping[str, object]:
    """Return the members by lower-case name: the specification uses PascalCase, the known client sends camelCase."""
    if media_type_is(request.fields, "application/json"):
        pairs = _parse_json(request.document)
    elif media_type_is(request.fields, "application/x-www-form-urlencoded"):
        pairs = _parse_form(request.document)
    else:
        message = "send application/json or application/x-www-form-urlencoded"
        raise ProtocolError(415, "unsupported_media_type", message)
    values: dict[str, object] = {}
    for name, value in pairs:
        if name.lower() in values:
            raise ProtocolError(400, "repeated_value", f"the document has {name.lower()} twice")
        values[name.lower()] = value
    return values


def _parse_json(document: bytes) -> list[tuple[str, object]]:
    try:
        # Objects become lists of pairs, so that repeated names are detected.
        value = json.loads(document, object_pairs_hook=list)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(400, "invalid_document", "the content is not JSON") from error
    if not isinstance(value, list) or not document.removeprefix(BOM_UTF8).lstrip().startswith(b"{"):
        raise ProtocolError(400, "invalid_document", "the content is not a JSON object")
    return value


def _parse_form(document: bytes) -> list[tuple[str, object]]:
    try:
        return [*parse_qsl(document.decode(), keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=32)]
    except ValueError as error:
        raise ProtocolError(400, "invalid_document", "the content is not a valid form") from error


def _text(values: Mapping[str, object], name: str) -> str:
    value = values.get(name)
    if value is None:
        raise ProtocolError(400, f"{name}_required", f"{SPELLED.get(name, name)} is missing")
    if not isinstance(value, str):
        raise ProtocolError(400, f"{name}_invalid", f"{SPELLED.get(name, name)} has to be a string")
    return value


def _length(values: Mapping[str, object]) -> int:
    value = values.get("contentlength")
    if value is None:
        raise ProtocolError(400, "contentlength_required", "contentLength is missing")
    if isinstance(value, int) and not isinstance(value, bool):
        length: int | None = min(value, HUGE)
    else:
        length = parse_integer(value) if isinstance(value, str) else None
    # No Content-Range can describe an empty content.
    if length is None or length <= 0:
        raise ProtocolError(400, "contentlength_invalid", "contentLength has to be a positive integer")
    return length


def _file_name(values: Mapping[str, object]) -> str:
    name = _text(values, "name")
    if names.has_control(name):
        raise ProtocolError(400, "name_invalid", "name has control characters")
    base = names.basename(name)
    if base is None:
        raise ProtocolError(400, "name_invalid", "name is empty")
    if names.is_too_long(base):
        raise ProtocolError(400, "name_too_long", f"name is limited to {names.MAX_CHARACTERS} characters")
    return base


def _progress(record: UploadRecord) -> Fields:
    offset = ("Upload-Offset", str(record.offset))
    # No Range can describe zero bytes.
    return (offset, ("Range", f"bytes=0-{record.offset - 1}")) if record.offset else (offset,)


def to_response(status: int, document: Mapping[str, Any], fields: Fields = ()) -> Response:
    """Return a response of the attachments API."""
    kind = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))
    return Response(status=status, fields=(*fields, *kind), content=to_json(document))
