"""
The base of all resources of the native JSON API.

Errors are problem details (RFC 9457); lists are paged by a cursor; times are RFC 3339 in UTC.
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Generic, TypeVar, overload
from urllib.parse import parse_qsl

from pydantic import ValidationError

from holdfast.service.core import errors, names
from holdfast.service.core.errors import UploadError
from holdfast.service.protocols.http.fields import media_type_is, parse_integer
from holdfast.service.protocols.http.wire import (
    RETRY_AFTER,
    Fields,
    ProtocolError,
    Refusal,
    Request,
    Response,
    refusal_of,
    to_json,
)
from holdfast.service.protocols.native.documents import Document, ProblemDocument
from holdfast.storage.keys import parse_key
from holdfast.storage.records import Key, ObjectRef, Ref, SlotRef

KiB = 1024
MAX_DOCUMENT = 64 * KiB
MAX_DEPTH = 32  # nested objects and arrays, including the document
MAX_PARAMETERS = 32
MAX_CURSOR = 255  # characters
DEFAULT_PAGE, MAX_PAGE = 100, 1000
# Parameters of every URL: the tenant, and a signed link.
COMMON = ("communityKey", "link")
NO_STORE = ("Cache-Control", "no-store")

REFUSALS: dict[type[UploadError], Refusal] = {
    errors.UploadNotFound: Refusal(404, "attachment_not_found"),
    errors.UploadGone: Refusal(410, "attachment_gone"),
    errors.ContentRejected: Refusal(410, "content_rejected"),
    errors.UploadAttached: Refusal(409, "attached"),
    errors.UploadIncomplete: Refusal(409, "upload_incomplete"),
    errors.TooLarge: Refusal(413, "too_large"),
    errors.Forbidden: Refusal(403, "forbidden"),
    errors.Evicted: Refusal(409, "upload_taken_over"),
    errors.ObjectNotFound: Refusal(404, "object_not_found"),
    errors.SlotUnknown: Refusal(404, "slot_unknown"),
    errors.SlotChanged: Refusal(412, "changed"),
    errors.SlotBusy: Refusal(503, "slot_busy", (("Retry-After", "1"),)),
    errors.SlotFull: Refusal(409, "slot_full"),
    errors.NotAttached: Refusal(404, "not_attached"),
    errors.NothingToUndo: Refusal(409, "nothing_to_undo"),
    errors.ManagedElsewhere: Refusal(409, "managed_externally"),
    errors.NotAccepted: Refusal(415, "content_type_not_accepted"),
    errors.ImageInvalid: Refusal(422, "image_invalid"),
    errors.ImageTooLarge: Refusal(413, "image_too_large"),
    errors.FinishFailed: Refusal(503, "finish_failed", (("Retry-After", RETRY_AFTER),)),
    errors.CursorUnknown: Refusal(400, "cursor_invalid"),
    errors.OutOfSpace: Refusal(507, "out_of_space"),
    errors.StoreFailed: Refusal(503, "store_failed", (("Retry-After", RETRY_AFTER),)),
    errors.UploadError: Refusal(400, "refused"),
}

C = TypeVar("C")
D = TypeVar("D", bound=Document)
Out = TypeVar("Out")


class Resource(ABC, Generic[C, Out]):
    """The dialect of one kind of URLs; *names* maps the parameters of its path to their values."""

    # By method, the name of the method of this class that returns the command.
    verbs: ClassVar[Mapping[str, str]] = {}

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names

    def document_limit(self, request: Request) -> int:
        return MAX_DOCUMENT if request.method in ("PUT", "POST") and request.method in self.verbs else 0

    def receive(self, request: Request) -> C | Response:
        allow = ", ".join([*self.verbs, *(["HEAD"] if "GET" in self.verbs else []), "OPTIONS"])
        if request.method == "OPTIONS":
            return Response(status=204, fields=(("Allow", allow),))
        verb = self.verbs.get("GET" if request.method == "HEAD" else request.method)
        if verb is None:
            raise ProtocolError(405, "method_not_allowed", f"this URL does not support {request.method}", (("Allow", allow),))
        command: C = getattr(self, verb)(request)
        return command

    @abstractmethod
    def send(self, request: Request, command: C, outcome: Out) -> Response: ...

    def reject(self, request: Request, error: ProtocolError | UploadError) -> Response:
        return reject(request, error)

    def upload_ref(self, request: Request) -> Ref:
        """Return the upload that the path names."""
        return Ref(tenant=request.tenant, key=attachment_key(self.names["key"]))

    def object_ref(self, request: Request) -> ObjectRef:
        """Return the object that the path names."""
        return ObjectRef(tenant=request.tenant, kind=self.kind(), id=object_id(self.names["id"]))

    def slot_ref(self, request: Request) -> SlotRef:
        """Return the slot that the path names."""
        ref, slot = self.object_ref(request), self.names["slot"]
        if not names.is_slot(slot):
            raise ProtocolError(400, "slot_invalid", "a slot has to be 1 to 64 letters, digits and _")
        return SlotRef(tenant=ref.tenant, kind=ref.kind, id=ref.id, slot=slot)

    def kind(self) -> str:
        """Return the kind of objects that the path names."""
        if not names.is_kind(self.names["kind"]):
            raise ProtocolError(400, "kind_invalid", "a kind has to be 1 to 64 lower-case letters, digits and _")
        return self.names["kind"]


def reject(_request: Request, error: ProtocolError | UploadError) -> Response:
    """Return *error* as problem details."""
    if isinstance(error, ProtocolError):
        return problem(error.status, error.code, str(error), error.fields)
    refusal = refusal_of(REFUSALS, error)
    return problem(refusal.status, refusal.code, str(error), refusal.fields)


def object_id(name: str) -> str:
    """Return an id in its canonical spelling: all spellings of a GUID are the same id."""
    identifier = names.object_id(name)
    if identifier is None:
        raise ProtocolError(400, "id_invalid", "an id has to be 1 to 255 letters, digits and . _ ~ = + -")
    return identifier


def attachment_key(name: object) -> Key:
    """
    Return *name* as a key.

    :raises UploadNotFound: *name* is malformed, so no attachment has it.
    """
    key = parse_key(name) if isinstance(name, str) else None
    if key is None:
        raise errors.UploadNotFound("there is no such attachment")
    return key


def parse_document(request: Request, model: type[D]) -> D:
    """
    Return the content of *request* as a *model*.

    :raises ProtocolError: it is not a JSON object, or has an unknown or invalid member.
    """
    try:
        return model.model_validate(parse_object(request))
    except ValidationError as error:
        problems = {problem["type"] == "extra_forbidden": problem for problem in reversed(error.errors())}
        unknown = problems.get(True)
        if unknown is not None:
            known = ", ".join(model.model_fields)
            message = f"{unknown['loc'][0]!r} is not a member of this document; its members are {known}"
            raise ProtocolError(400, "member_unknown", message) from error
        raise model.refused[str(problems[False]["loc"][0])]() from error


def parse_object(request: Request) -> dict[str, Any]:
    """
    Return the content of *request* as a JSON object.

    :raises ProtocolError: it is not a JSON object.
    """
    if not media_type_is(request.fields, "application/json"):
        raise ProtocolError(415, "unsupported_media_type", "send application/json")
    try:
        value = json.loads(request.document, parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_unique)
        _refuse_deep(value)
        json.dumps(value, ensure_ascii=False).encode()  # refuses lone surrogates
    except (ValueError, RecursionError) as error:
        raise ProtocolError(400, "invalid_document", "the content is not JSON") from error
    if not isinstance(value, dict):
        raise ProtocolError(400, "invalid_document", "the content is not a JSON object")
    return value


def parse_page(request: Request, filters: tuple[str, ...] = ()) -> tuple[str, int, dict[str, str]]:
    """
    Return the cursor before the page ("" for the first), its largest number of items, and the given *filters* by name.

    :raises ProtocolError: a parameter is invalid or unknown; ignoring a misspelt filter would return too much.
    """
    values = parse_query(request, ("after", "limit", *COMMON, *filters), strict=True)
    limit = parse_integer(values.get("limit", str(DEFAULT_PAGE)))
    after = values.get("after", "")
    if limit is None or not 1 <= limit <= MAX_PAGE:
        raise ProtocolError(400, "limit_invalid", f"limit has to be a number from 1 to {MAX_PAGE}")
    if len(after) > MAX_CURSOR or not after.isprintable():
        raise ProtocolError(400, "cursor_invalid", "after has to be the next of an earlier page")
    return after, limit, {name: value for name, value in values.items() if name in filters}


def parse_query(request: Request, names: tuple[str, ...], *, strict: bool = False) -> dict[str, str]:
    """Return the parameters *names* of the query; other parameters are ignored, or refused if *strict*."""
    try:
        pairs = parse_qsl(request.query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError as error:
        raise ProtocolError(400, "query_invalid", "the query is malformed") from error
    unknown = sorted({name for name, _ in pairs} - set(names)) if strict else []
    if unknown:
        message = f"{unknown[0]!r} is not a parameter of this URL; its parameters are {', '.join(names)}"
        raise ProtocolError(400, "parameter_unknown", message)
    known = [(name, value) for name, value in pairs if name in names]
    if len(known) > len(dict(known)):
        raise ProtocolError(400, "repeated_value", "the query has a parameter twice")
    return dict(known)


def document_response(status: int, document: Mapping[str, Any], fields: Fields = ()) -> Response:
    """Return a response in JSON."""
    kind = (("Content-Type", "application/json"), NO_STORE)
    return Response(status=status, fields=(*fields, *kind), content=to_json(document))


def problem(status: int, code: str, detail: str, fields: Fields = ()) -> Response:
    """Return problem details."""
    document: ProblemDocument = {"type": "about:blank", "title": code, "status": status, "detail": detail}
    kind = (("Content-Type", "application/problem+json"), NO_STORE)
    return Response(status=status, fields=(*fields, *kind), content=to_json(document))


@overload
def moment(seconds: float) -> str: ...
@overload
def moment(seconds: float | None) -> str | None: ...
def moment(seconds: float | None) -> str | None:
    """Return a Unix time in RFC 3339."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"{digits} is too large")  # JSON has no infinity
    return value


def _refuse_deep(value: object, room: int = MAX_DEPTH) -> None:
    """Refuse documents nested so deeply that other parsers could not read them."""
    if isinstance(value, dict | list):
        if not room:
            raise ValueError(f"it is nested deeper than {MAX_DEPTH}")
        for inner in value.values() if isinstance(value, dict) else value:
            _refuse_deep(inner, room - 1)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("an object has a name twice")
    return value
