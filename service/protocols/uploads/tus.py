"""
tus 1.0.0: the core protocol with creation, creation-with-upload, creation-defer-length, termination and expiration.

Quotations are from https://tus.io/protocols/resumable-upload.
"""

from __future__ import annotations

from holdfast.service.core import errors
from holdfast.service.core.commands import Append, Cancel, Command, Completes, Create, GetOffset, Outcome
from holdfast.service.core.content.content import Stop
from holdfast.service.core.errors import UploadError
from holdfast.service.core.names import display_name
from holdfast.service.protocols.http.fields import (
    MetadataSyntaxError,
    imf_fixdate,
    media_type_is,
    parse_integer,
    parse_media_type,
    parse_metadata,
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
)
from holdfast.service.protocols.intents import intent_of
from holdfast.service.protocols.refusals import INTENTS
from holdfast.storage.records import Ref, State, UploadRecord

VERSION = "1.0.0"
EXTENSIONS = ("creation", "creation-with-upload", "creation-defer-length", "termination", "expiration")
CONTENT_TYPE = "application/offset+octet-stream"
MAX_METADATA = 8192  # bytes; every HEAD returns the value, and proxies cut longer fields

# After a 5xx to HEAD, tus-js-client starts a new upload; after a 423 it retries.
UNAVAILABLE = 503
LOCKED = 423


REFUSALS: dict[type[UploadError], Refusal] = {
    errors.UploadNotFound: Refusal(404, "upload_not_found"),
    # "the Server SHOULD respond with … 404 Not Found, 410 Gone or 403 Forbidden": clients test a termination by its 404, and
    # "If a Client does attempt to resume an upload which has since been removed … 404 Not Found or 410 Gone".
    errors.UploadCancelled: Refusal(404, "upload_cancelled"),
    errors.UploadExpired: Refusal(410, "upload_expired"),
    errors.UploadInvalid: Refusal(410, "upload_invalid"),
    errors.UploadPurged: Refusal(410, "upload_purged"),
    errors.ContentLost: Refusal(410, "content_lost"),
    errors.UploadAttached: Refusal(409, "upload_attached"),
    # "If the offsets do not match, the Server MUST respond with the 409 Conflict status without modifying the upload resource."
    errors.OffsetMismatch: Refusal(409, "offset_mismatch"),
    # "Once set the value MUST NOT change."
    errors.LengthMismatch: Refusal(400, "length_mismatch"),
    errors.LengthExceeded: Refusal(413, "length_exceeded"),
    # "If the length of the upload exceeds the maximum, … the Server MUST respond with the 413 Request Entity Too Large status."
    errors.TooLarge: Refusal(413, "too_large"),
    errors.AlreadyComplete: Refusal(413, "length_exceeded"),
    errors.ContentRejected: Refusal(422, "content_rejected"),
    # Clients retry after a 423: a newer request of theirs holds the upload.
    errors.Evicted: Refusal(423, "upload_taken_over", (("Retry-After", "1"),)),
    errors.AppendsEmpty: Refusal(429, "empty_appends", (("Retry-After", RETRY_AFTER),)),
    errors.OutOfSpace: Refusal(507, "out_of_space"),
    errors.FinishFailed: Refusal(503, "finish_failed", (("Retry-After", RETRY_AFTER),)),
    errors.StoreFailed: Refusal(503, "store_failed", (("Retry-After", RETRY_AFTER),)),
    **INTENTS,
    errors.UploadError: Refusal(400, "refused"),
}


class Tus:
    """The tus 1.0.0 dialect."""

    def document_limit(self, _request: Request) -> int:
        return 0

    def receive(self, request: Request) -> Command | Response:
        # "If the version specified by the Client is not supported by the Server, it MUST respond with the 412 Precondition Failed
        # status and MUST include the Tus-Version header into the response. In addition, the Server MUST NOT process the request."
        version = request.fields.get("tus-resumable")
        if version != VERSION:
            message = "Tus-Resumable has to be 1.0.0"
            if version is None:
                message = "send Tus-Resumable: 1.0.0 (tus), or Upload-Complete (the IETF draft for resumable uploads)"
            raise ProtocolError(412, "version_not_supported", message, (("Tus-Version", VERSION),))
        match request.method, request.key:
            case "POST", None:
                return self._create(request)
            case "PATCH", key if key is not None:
                return self._append(request, Ref(tenant=request.tenant, key=key))
            case "HEAD", key if key is not None:
                ref = Ref(tenant=request.tenant, key=key)
                return GetOffset(ref=ref, completes=Completes.AT_LENGTH)
            case "DELETE", key if key is not None:
                return Cancel(ref=Ref(tenant=request.tenant, key=key))
        raise method_not_allowed(request, collection="POST, PUT, OPTIONS", entry="HEAD, GET, PATCH, DELETE, OPTIONS")

    def send(self, request: Request, command: Command, outcome: Outcome) -> Response:
        record = outcome.record
        match command:
            case Create():
                return _response(201, _created(request, record))
            case Append():
                if outcome.stopped is Stop.IDLE:
                    # "To handle timeouts, the Server SHOULD close the connection": the exchange does.
                    progress = (_offset(record), *_expires(record))
                    message = "the client sent content too slowly; resume at the offset"
                    return self.reject(request, ProtocolError(408, "content_timeout", message, progress))
                # "The Server MUST acknowledge successful PATCH requests with the 204 No Content status. It MUST include the
                # Upload-Offset header containing the new offset."
                return _response(204, (_offset(record), *_expires(record)))
            case GetOffset():
                return _response(200, _described(record))
            case Cancel():
                return _response(204)

    def reject(self, request: Request, error: ProtocolError | UploadError) -> Response:
        if isinstance(error, ProtocolError):
            return _text(error.status, error.code, str(error), error.fields)
        refusal = refusal_of(REFUSALS, error)
        status, fields = refusal.status, refusal.fields
        if request.method == "HEAD" and status == UNAVAILABLE:
            status = LOCKED
        if error.record is not None and error.record.state is State.OPEN and not isinstance(error, errors.UploadGone):
            # "the Response MUST NOT contain the Upload-Offset header" applies to uploads that are gone.
            fields = (*fields, _offset(error.record), *_expires(error.record))
        return _text(status, refusal.code, str(error), fields)

    def options(self, request: Request) -> Fields:
        """Return the fields of tus in an OPTIONS response."""
        max_size, _ = request.limits
        return (
            ("Tus-Resumable", VERSION),
            ("Tus-Version", VERSION),
            # Without spaces: some clients split at the comma and do not trim.
            ("Tus-Extension", ",".join(EXTENSIONS)),
            ("Tus-Max-Size", str(max_size)),
        )

    def _create(self, request: Request) -> Create:
        if "upload-concat" in request.fields:
            # Refused at once: otherwise a client would upload all parts before it learns that they cannot be joined.
            raise ProtocolError(400, "concatenation_not_supported", "the server does not support the extension concatenation")
        length = _integer(request, "upload-length")
        deferred = request.fields.get("upload-defer-length")
        # "The request MUST include one of the following headers: a) Upload-Length … b) Upload-Defer-Length: 1 if upload size is
        # not known at the time. Upload-Defer-Length … If contains any other value than 1 the server should return a 400."
        if deferred not in (None, "1"):
            raise ProtocolError(400, "invalid_defer_length", "Upload-Defer-Length can only be 1")
        if (length is None) == (deferred is None):
            raise ProtocolError(400, "invalid_length", "send either Upload-Length or Upload-Defer-Length: 1")
        metadata, name, content_type, attach_to = _metadata(request)
        return Create(
            tenant=request.tenant,
            completes=Completes.AT_LENGTH,
            length=length,
            # Creation with upload: "The Client MUST include the Content-Type: application/offset+octet-stream header."  Content
            # of another type does not belong to the upload: some clients send a form or an empty document with a POST.
            content_length=request.content_length if media_type_is(request.fields, CONTENT_TYPE) else 0,
            name=name,
            content_type=content_type,
            metadata=metadata,
            intent=intent_of(request, attach_to),
        )

    def _append(self, request: Request, ref: Ref) -> Append:
        # "All PATCH requests MUST use Content-Type: application/offset+octet-stream, otherwise the server SHOULD return a 415
        # Unsupported Media Type status."
        _refuse_other_type(request)
        offset = _integer(request, "upload-offset")
        if offset is None:
            raise ProtocolError(400, "invalid_offset", "Upload-Offset is missing")
        return Append(
            ref=ref,
            offset=offset,
            completes=Completes.AT_LENGTH,
            content_length=request.content_length,
            length=_integer(request, "upload-length"),
        )


def _refuse_other_type(request: Request) -> None:
    if not media_type_is(request.fields, CONTENT_TYPE):
        raise ProtocolError(415, "unsupported_media_type", f"Content-Type has to be {CONTENT_TYPE}")


def _integer(request: Request, name: str) -> int | None:
    """Return a field whose "value MUST be a non-negative integer"; None if it is missing."""
    value = request.fields.get(name)
    if value is None:
        return None
    number = parse_integer(value)
    if number is None:
        raise ProtocolError(400, f"invalid_{name.removeprefix('upload-')}", f"{name} has to be a non-negative integer")
    return number


def _metadata(request: Request) -> tuple[str | None, str | None, str | None, str | None]:
    """Return the raw value, and the file name, media type and slot in it; None for each that is missing."""
    value = request.fields.get("upload-metadata")
    if not value:  # tuspy sends an empty field if it has no metadata
        return None, None, None, None
    if len(value) > MAX_METADATA:
        raise ProtocolError(431, "metadata_too_large", f"Upload-Metadata is limited to {MAX_METADATA} bytes")
    try:
        pairs = parse_metadata(value)
    except MetadataSyntaxError as error:
        raise ProtocolError(400, "invalid_metadata", str(error)) from error
    name = pairs.get("filename", pairs.get("name", b"")).decode(errors="replace")
    kind = pairs.get("filetype", pairs.get("type", b"")).decode(errors="replace")
    attach_to = pairs["attach_to"].decode(errors="replace") if "attach_to" in pairs else None
    return value, display_name(name), parse_media_type(kind), attach_to


def _created(request: Request, record: UploadRecord) -> Fields:
    # "The Server MUST set the Location header to the URL of the created resource. This URL MAY be absolute or relative."
    location = ("Location", request.location(f"/files/{record.key}"))
    # Creation with upload: "the Server MUST include the Upload-Offset header … in the response".  Without content it is 0.
    return (location, _offset(record), *_expires(record))


def _offset(record: UploadRecord) -> tuple[str, str]:
    return "Upload-Offset", str(record.offset)


def _expires(record: UploadRecord) -> Fields:
    # "This header MUST be included in every PATCH response if the upload is going to expire."
    if record.state is not State.OPEN or record.expires_at is None:
        return ()
    return (("Upload-Expires", imf_fixdate(record.expires_at)),)


def _described(record: UploadRecord) -> Fields:
    # "The Server MUST always include the Upload-Offset header in the response for a HEAD request, even if the offset is 0, or the
    # upload is already considered completed. If the size of the upload is known, the Server MUST include the Upload-Length header
    # in the response. … The Server MUST prevent the client and/or proxies from caching the response by adding the Cache-Control:
    # no-store header to the response."
    # Creation: "As long as the length of the upload is not known, the Server MUST set Upload-Defer-Length: 1 in all responses to
    # HEAD requests."
    length = ("Upload-Defer-Length", "1") if record.length is None else ("Upload-Length", str(record.length))
    # "If an upload contains additional metadata, responses to HEAD requests MUST include the Upload-Metadata header and its value
    # as specified by the Client during the creation."
    metadata = () if record.metadata is None else (("Upload-Metadata", record.metadata),)
    return (_offset(record), length, *metadata, *_expires(record), ("Cache-Control", "no-store"))


def _response(status: int, fields: Fields = (), content: bytes = b"") -> Response:
    # "The Tus-Resumable header MUST be included in every request and response except for OPTIONS requests."
    return Response(status=status, fields=(("Tus-Resumable", VERSION), *fields), content=content)


def _text(status: int, code: str, message: str, fields: Fields) -> Response:
    content = f"{code}: {message}\n".encode()
    return _response(status, (*fields, ("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")), content)
