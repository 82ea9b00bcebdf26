"""
The IETF draft: draft-ietf-httpbis-resumable-upload, interop version 10.

Creation, append, offset retrieval and cancellation; no interim responses yet.  Quoted section titles are those of draft -12.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from holdfast.service.core import errors
from holdfast.service.core.commands import Append, Cancel, Command, Completes, Create, GetOffset, Outcome
from holdfast.service.core.content.content import Stop
from holdfast.service.core.errors import UploadError
from holdfast.service.core.names import display_name
from holdfast.service.protocols.http.fields import (
    MAX_ENCODING,
    media_type_is,
    parse_encoding,
    parse_file_name,
    parse_media_type,
    sf_boolean,
    sf_dictionary,
    sf_integer,
)
from holdfast.service.protocols.http.representation import select
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
from holdfast.service.protocols.refusals import INTENTS
from holdfast.storage.records import Ref, State, UploadRecord

CONTENT_TYPE = "application/partial-upload"
PROBLEMS = "https://iana.org/assignments/http-problem-types#"
ACCEPT_PATCH = ("Accept-Patch", CONTENT_TYPE)
# Interop versions in which the server chooses the upload URL; all get responses by the rules of the newest.
OLDEST, NEWEST = 3, 10
VERSION = "Upload-Draft-Interop-Version"
# Any of these fields makes a request one of the draft.
DRAFT_FIELDS = ("upload-draft-interop-version", "upload-complete", "upload-offset")

REFUSALS: dict[type[UploadError], Refusal] = {
    errors.UploadNotFound: Refusal(404, "upload_not_found"),
    errors.UploadCancelled: Refusal(404, "upload_cancelled"),
    errors.UploadExpired: Refusal(410, "upload_expired"),
    errors.UploadInvalid: Refusal(410, "upload_invalid"),
    errors.UploadPurged: Refusal(410, "upload_purged"),
    errors.ContentLost: Refusal(410, "content_lost"),
    errors.UploadAttached: Refusal(409, "upload_attached"),
    # "Upload Append": "If the Upload-Offset request header field value does not match the current offset, the upload resource
    # MUST reject the request with a 409 (Conflict) status code."
    errors.OffsetMismatch: Refusal(409, "mismatching-upload-offset"),
    # "Upload Length": this problem type is for inconsistent lengths.
    errors.LengthMismatch: Refusal(400, "inconsistent-upload-length"),
    errors.LengthExceeded: Refusal(400, "inconsistent-upload-length"),
    errors.AlreadyComplete: Refusal(400, "inconsistent-upload-length"),
    errors.TooLarge: Refusal(413, "too_large"),
    errors.ContentRejected: Refusal(422, "content_rejected"),
    # "Concurrency": a newer request took over.  Clients of the draft continue at the offset of a 409.
    errors.Evicted: Refusal(409, "upload_taken_over"),
    errors.AppendsEmpty: Refusal(429, "empty_appends", (("Retry-After", RETRY_AFTER),)),
    errors.OutOfSpace: Refusal(507, "out_of_space"),
    errors.FinishFailed: Refusal(503, "finish_failed", (("Retry-After", RETRY_AFTER),)),
    errors.StoreFailed: Refusal(503, "store_failed", (("Retry-After", RETRY_AFTER),)),
    **INTENTS,
    errors.UploadError: Refusal(400, "refused"),
}
# Problem types that IANA registered; other problems have the type about:blank and the code as title.
REGISTERED = frozenset({"mismatching-upload-offset", "inconsistent-upload-length"})


class Resumable:
    """The dialect of the IETF draft."""

    def document_limit(self, _request: Request) -> int:
        return 0

    def receive(self, request: Request) -> Command | Response:
        match request.method, request.key:
            case (("POST" | "PUT"), None):
                return self._create(request)
            case "PATCH", key if key is not None:
                return self._append(request, Ref(tenant=request.tenant, key=key))
            case (("HEAD" | "GET"), key) if key is not None:
                self._refuse_upload_fields(request)
                ref = Ref(tenant=request.tenant, key=key)
                return GetOffset(ref=ref, completes=Completes.LATER)
            case "DELETE", key if key is not None:
                return Cancel(ref=Ref(tenant=request.tenant, key=key))
        raise method_not_allowed(request, collection="POST, PUT, OPTIONS", entry="HEAD, GET, PATCH, DELETE, OPTIONS")

    def send(self, request: Request, command: Command, outcome: Outcome) -> Response:
        return _versioned(request, self._send(request, command, outcome))

    def reject(self, request: Request, error: ProtocolError | UploadError) -> Response:
        return _versioned(request, self._reject(request, error))

    def _send(self, request: Request, command: Command, outcome: Outcome) -> Response:
        record = outcome.record
        length: Fields
        no_store = ("Cache-Control", "no-store")
        location = ("Location", request.location(f"/files/{record.key}"))
        match command:
            case Create() if outcome.stopped is not None:
                return self._cut(record, outcome.stopped, (location, _limit(request, record)))
            case Append() if outcome.stopped is not None:
                return self._cut(record, outcome.stopped, (_limit(request, record),))
            case Create():
                return Response(status=201, fields=(location, *_progress(record), _limit(request, record)))
            case Append():
                return Response(status=204, fields=(*_progress(record), _limit(request, record)))
            case GetOffset() if record.state is State.COMPLETE and "upload-draft-interop-version" not in request.fields:
                # A client without the draft's version asks about the content; the draft's fields are added for others.
                selection = select(record, request.method, request.fields, request.now)
                length = (("Upload-Length", str(record.offset)),)
                # "Offset Retrieval": "The response SHOULD include Cache-Control: no-store"
                described = [field for field in selection.fields if field[0] != "Cache-Control"]
                progress = (*_progress(record), *length, _limit(request, record))
                return Response(status=selection.status, fields=(*progress, *described, no_store))
            case GetOffset():
                length = () if record.length is None else (("Upload-Length", str(record.length)),)
                return Response(status=204, fields=(*_progress(record), *length, _limit(request, record), no_store))
            case Cancel():
                return Response(status=204)

    def _reject(self, request: Request, error: ProtocolError | UploadError) -> Response:
        if isinstance(error, ProtocolError):
            return _problem(error.status, error.code, str(error), (*error.fields, ("Upload-Complete", "?0")))
        refusal = refusal_of(REFUSALS, error)
        # The client must not resume an upload that the server rejected: "Upload-Complete: ?1" makes the response final.
        complete = "?1" if isinstance(error, errors.ContentRejected) else "?0"
        fields = (*refusal.fields, ("Upload-Complete", complete))
        members: dict[str, Any] = {}
        resumable = error.record is not None and error.record.state in (State.OPEN, State.RECEIVED)
        if error.record is not None and resumable and not isinstance(error, errors.UploadGone):
            fields = (*fields, ("Upload-Offset", str(error.record.offset)))
        if isinstance(error, errors.OffsetMismatch) and error.record is not None:
            fields = (*fields, ("Upload-Offset", str(error.record.offset))) if error.record.state is State.COMPLETE else fields
            members = {"expected-offset": error.record.offset, "provided-offset": error.provided}
        if isinstance(error, errors.TooLarge):
            fields = (*fields, ("Upload-Limit", sf_dictionary({"max-size": error.limit})))
        return _problem(refusal.status, refusal.code, str(error), fields, members)

    def options(self, request: Request) -> Fields:
        """Return the draft's fields of an OPTIONS response."""
        max_size, max_age = request.limits
        return (ACCEPT_PATCH, ("Upload-Limit", sf_dictionary({"max-size": max_size, "max-age": int(max_age)})))

    def _create(self, request: Request) -> Create:
        complete = sf_boolean(request.fields, "upload-complete")
        if complete is None:
            raise ProtocolError(400, "upload_complete_required", "Upload-Complete has to be ?0 or ?1")
        return Create(
            tenant=request.tenant,
            completes=Completes.AT_END if complete else Completes.LATER,
            length=sf_integer(request.fields, "upload-length"),
            content_length=request.content_length,
            name=_file_name(request.fields),
            content_type=parse_media_type(request.fields.get("content-type", "")),
            content_encoding=_encoding(request.fields),
            intent=intent_of(request),
        )

    def _append(self, request: Request, ref: Ref) -> Append:
        # "Upload Append": "The request MUST include the Content-Type: application/partial-upload"
        if not media_type_is(request.fields, CONTENT_TYPE):
            raise ProtocolError(415, "unsupported_media_type", f"Content-Type has to be {CONTENT_TYPE}", (ACCEPT_PATCH,))
        offset = sf_integer(request.fields, "upload-offset")
        complete = sf_boolean(request.fields, "upload-complete")
        if offset is None:
            raise ProtocolError(400, "upload_offset_required", "Upload-Offset has to be a non-negative integer")
        if complete is None:
            raise ProtocolError(400, "upload_complete_required", "Upload-Complete has to be ?0 or ?1")
        return Append(
            ref=ref,
            offset=offset,
            completes=Completes.AT_END if complete else Completes.LATER,
            content_length=request.content_length,
            length=sf_integer(request.fields, "upload-length"),
        )

    def _refuse_upload_fields(self, request: Request) -> None:
        # Up to interop version 6: "The request MUST NOT include the Upload-Offset or Upload-Complete header fields."
        for name in ("upload-offset", "upload-complete"):
            if name in request.fields:
                raise ProtocolError(400, "unexpected_field", f"send {request.method} without {name}")

    def _cut(self, record: UploadRecord, stopped: Stop, fields: Fields) -> Response:
        """Return the response to a request whose content ended early; the server keeps what it received."""
        fields = (*fields, ("Upload-Complete", "?0"), ("Upload-Offset", str(record.offset)))
        if stopped is Stop.SHUTDOWN:
            return _problem(
                503, "shutting_down", "the server restarts; resume the upload in a moment", (*fields, ("Retry-After", "1"))
            )
        return _problem(408, "content_timeout", "the client sent content too slowly; resume at the offset", fields)


def _versioned(request: Request, response: Response) -> Response:
    """Return *response* with its interop version, if the client uses the draft; an unknown version gets the newest."""
    if not any(name in request.fields for name in DRAFT_FIELDS):
        return response
    named = sf_integer(request.fields, "upload-draft-interop-version")
    version = named if named is not None and OLDEST <= named <= NEWEST else NEWEST
    return dataclasses.replace(response, fields=(*response.fields, (VERSION, str(version))))


def _encoding(fields: Mapping[str, str]) -> str | None:
    """Return the codings of the representation, whose offsets count encoded bytes; None without codings."""
    codings = parse_encoding(fields.get("content-encoding", ""))
    if codings is None:
        message = f"Content-Encoding has to be a list of codings, such as gzip, of at most {MAX_ENCODING} bytes"
        raise ProtocolError(400, "content_encoding_invalid", message)
    return codings or None


def _progress(record: UploadRecord) -> Fields:
    complete = "?1" if record.state is State.COMPLETE else "?0"
    # Interop versions up to 6 require Upload-Offset in every response.
    return (("Upload-Complete", complete), ("Upload-Offset", str(record.offset)))


def _limit(request: Request, record: UploadRecord) -> tuple[str, str]:
    max_size, _ = request.limits
    members = {"max-size": max_size}
    if record.expires_at is not None and record.state is State.OPEN:
        members["max-age"] = max(0, int(record.expires_at - request.now))
    return "Upload-Limit", sf_dictionary(members)


def _file_name(fields: Mapping[str, str]) -> str | None:
    name = parse_file_name(fields.get("content-disposition", ""))
    return None if name is None else display_name(name)


def _problem(status: int, code: str, detail: str, fields: Fields, members: Mapping[str, Any] | None = None) -> Response:
    # RFC 9457; offsets are JSON numbers.
    document = {
        "type": PROBLEMS + code if code in REGISTERED else "about:blank",
        "title": code,
        "status": status,
        "detail": detail,
    }
    content = to_json({**document, **(members or {})})
    described = (("Content-Type", "application/problem+json"), ("Cache-Control", "no-store"))
    return Response(status=status, fields=(*fields, *described), content=content)
