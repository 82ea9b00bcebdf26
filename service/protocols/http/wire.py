"""Heads of requests and responses, and the interface of dialects."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from holdfast.service.core.commands import Command, ObjectOutcome, Outcome, PictureCommand, SlotCommand, SlotOutcome
from holdfast.service.core.conditions import ALWAYS, ANY, Condition
from holdfast.service.core.errors import UploadError
from holdfast.storage.objects import ObjectRecord
from holdfast.storage.records import Key, Tenant

Fields = tuple[tuple[str, str], ...]

SECONDS = 1
RETRY_AFTER = str(5 * SECONDS)

# RFC 9110, section 8.8.3: entity-tag = [ weak ] opaque-tag; section 5.6.1: a list may have empty elements.
_ENTITY_TAG = r'(?:W/)?"[!#-~\x80-\xff]*"'
_ENTITY_TAGS = re.compile(rf"[ \t]*(?:{_ENTITY_TAG}[ \t]*)?(?:,[ \t]*(?:{_ENTITY_TAG}[ \t]*)?)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    The head of a request.

    *fields* has lower-case names; repeated fields are joined with a comma (RFC 9110, section 5.2), so a repeated integer is no
    longer a valid integer.
    """

    method: str
    path: str
    query: str
    fields: Mapping[str, str]
    content_length: int | None
    """Bytes; 0 without content, None if unknown (chunked)."""
    origin: str
    """Scheme and authority as the client sees them; empty if unknown."""
    tenant: Tenant
    now: float
    prefix: str = ""
    """Path under which the client finds the service."""
    relative: bool = False
    """Whether Location is path-absolute."""
    peer: str = ""
    """Address at the other end of the connection; empty if unknown."""
    tenant_named: bool = True
    """Whether the URL names the tenant; otherwise it is the principal's."""
    key: Key | None = None
    document: bytes = b""
    """The whole content, if `Dialect.document_limit` is not 0."""
    limits: tuple[int, float] = (0, 0.0)
    """Largest upload in bytes, and the shortest life of a new upload in seconds."""

    def url(self, path: str) -> str:
        """Return the URL of *path* as the client sees it; path-absolute if the origin is unknown."""
        return f"{self.origin}{self.prefix}{path}"

    def location(self, path: str) -> str:
        """Return the URL of *path* for a Location field."""
        return f"{self.prefix}{path}" if self.relative else self.url(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The head of a response, and its content."""

    status: int
    fields: Fields = ()
    content: bytes = b""


class ProtocolError(Exception):
    """The request breaks the grammar or rules of its dialect, independently of the state of the upload."""

    def __init__(self, status: int, code: str, message: str, fields: Fields = ()) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.fields = fields


def condition_of(fields: Mapping[str, str], *, strict: bool = True) -> Condition:
    """
    Return the condition of If-Match and If-None-Match (RFC 9110, sections 13.1.1 and 13.1.2).

    Requests that change something are *strict*; for others, the valid entity tags of a malformed field count.

    :raises ProtocolError: *strict*, and a field is malformed.
    """
    if "if-match" not in fields and "if-none-match" not in fields:
        return ALWAYS
    if_match, if_none_match = (_entity_tags(fields, name, strict=strict) for name in ("if-match", "if-none-match"))
    return Condition(if_match=if_match, if_none_match=if_none_match)


def _entity_tags(fields: Mapping[str, str], name: str, *, strict: bool) -> frozenset[str] | None:
    value = fields.get(name)
    if value is None:
        return None
    if value.strip(" \t") == "*":
        return ANY
    tags = re.findall(_ENTITY_TAG, value) if not strict or _ENTITY_TAGS.fullmatch(value) else []
    if strict and not tags:
        raise ProtocolError(400, "if_match_invalid", 'If-Match and If-None-Match have to be entity tags, as "TAG", or *')
    return frozenset(tags)


def method_not_allowed(request: Request, *, collection: str, entry: str) -> ProtocolError:
    """Return the error for a method, with the methods that the URL supports (RFC 9110, section 15.5.6)."""
    allow = collection if request.key is None else entry
    return ProtocolError(405, "method_not_allowed", f"this URL does not support {request.method}", (("Allow", allow),))


@dataclass(frozen=True, slots=True)
class Refusal:
    """The response of a dialect to one class of errors."""

    status: int
    code: str
    fields: Fields = ()


C = TypeVar("C")
O_contra = TypeVar("O_contra", contravariant=True)


class Dialect(Protocol[C, O_contra]):
    """Translates one protocol: requests to commands, outcomes and errors to responses.  It does no I/O and has no state."""

    def document_limit(self, request: Request) -> int:
        """Return the largest size in bytes of the document in *request*; 0 if its content, if any, belongs to an upload."""
        ...

    def receive(self, request: Request) -> C | Response:
        """
        Return the command of *request*, or the response if no command is needed.

        :raises ProtocolError: the request breaks the dialect's rules.
        """
        ...

    def send(self, request: Request, command: C, outcome: O_contra) -> Response:
        """Return the response to *outcome*."""
        ...

    def reject(self, request: Request, error: ProtocolError | UploadError) -> Response:
        """Return the response to *error* in the format of the dialect."""
        ...


UploadDialect = Dialect[Command, Outcome]
SlotDialect = Dialect[SlotCommand, SlotOutcome]


class PictureDialect(Dialect[PictureCommand, ObjectOutcome], Protocol):
    """Translates a protocol of pictures."""

    def admit(self, group: ObjectRecord) -> None:
        """
        Check, before content is read, that *group* can have a picture.

        :raises ProtocolError, ObjectNotFound: it cannot.
        """
        ...


def to_json(value: Mapping[str, Any]) -> bytes:
    """Return *value* as compact JSON in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def refusal_of(table: Mapping[type[UploadError], Refusal], error: UploadError) -> Refusal:
    """Return the row of *table* for the nearest class of *error*."""
    return next(table[kind] for kind in type(error).__mro__ if kind in table)
