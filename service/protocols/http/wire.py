"""
Requests and responses as heads, and what a dialect is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from holdfast.service.core.commands import Command, ObjectOutcome, Outcome, PictureCommand, SlotCommand, SlotOutcome
from holdfast.service.core.conditions import ANY, Condition
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

    *fields* has lower-case names; fields that came several times are joined with a comma (RFC 9110, section 5.2), so that a
    repeated integer is not an integer any more.
    """

    method: str
    path: str
    query: str
    fields: Mapping[str, str]
    content_length: int | None
    """0 without content; None when only its end will tell (chunked)."""
    origin: str
    """Scheme and authority as the client sees them; empty when they are not known."""
    tenant: Tenant
    now: float
    prefix: str = ""
    """Path under which the client finds the service."""
    relative: bool = False
    """Whether Location is path-absolute."""
    peer: str = ""
    """Address at the other end of the connection; empty when it is not known."""
    tenant_named: bool = True
    """Whether the URL names the tenant; otherwise it is that of the principal."""
    key: Key | None = None
    document: bytes = b""
    """Content that belongs to the meaning of the request itself, where the dialect asked for it."""
    limits: tuple[int, float] = (0, 0.0)
    """Largest upload in bytes, and the seconds for which a new one lives at least."""

    def url(self, path: str) -> str:
        """
        Return the URL of one of our paths as the client sees it; path-absolute when the origin is not known.
        """
        return f"{self.origin}{self.prefix}{path}"

    def location(self, path: str) -> str:
        """
        Return the same for a Location, which may be wanted without an origin.
        """
        return f"{self.prefix}{path}" if self.relative else self.url(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The head of a response, and its content where that is short."""

    status: int
    fields: Fields = ()
    content: bytes = b""


class ProtocolError(Exception):
    """
    The request breaks the grammar or the rules of its dialect, whatever the state of the upload.
    """

    def __init__(self, status: int, code: str, message: str, fields: Fields = ()) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.fields = fields


def condition_of(fields: Mapping[str, str], *, strict: bool = True) -> Condition:
    """
    Return what the etag of a representation has to be, and what it must not be.

    A request that changes something is refused when a field is malformed; one that reads, where that is not *strict*, goes by
    the entity tags that are there.

    :raises ProtocolError: a field is malformed.
    """
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
        raise ProtocolError(400, "if_match_invalid", "If-Match and If-None-Match list entity tags, or are *")
    return frozenset(tags)


def method_not_allowed(request: Request, *, collection: str, entry: str) -> ProtocolError:
    """
    Return the refusal of a method, with those that the target has (RFC 9110, section 15.5.6).
    """
    allow = collection if request.key is None else entry
    return ProtocolError(405, "method_not_allowed", f"{request.method} means nothing here", (("Allow", allow),))


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a dialect answers one class of errors."""

    status: int
    code: str
    fields: Fields = ()


C = TypeVar("C")
O_contra = TypeVar("O_contra", contravariant=True)


class Dialect(Protocol[C, O_contra]):
    """
    Translates one protocol: requests to commands, outcomes and errors to responses.  It neither waits nor remembers.
    """

    def document_limit(self, request: Request) -> int:
        """
        Return how many bytes of content belong to the meaning of *request*; 0 where content is for an upload.
        """
        ...

    def receive(self, request: Request) -> C | Response:
        """
        Return what *request* asks of the core, or the answer where nothing needs to be asked.

        :raises ProtocolError: the request breaks the dialect's rules.
        """
        ...

    def send(self, request: Request, command: C, outcome: O_contra) -> Response:
        """
        Return the response that tells *outcome*.
        """
        ...

    def reject(self, request: Request, error: ProtocolError | UploadError) -> Response:
        """
        Return the response that tells *error* in the dialect's own shape.
        """
        ...


UploadDialect = Dialect[Command, Outcome]
SlotDialect = Dialect[SlotCommand, SlotOutcome]


class PictureDialect(Dialect[PictureCommand, ObjectOutcome], Protocol):
    """
    Translates a protocol of pictures.
    """

    def admit(self, group: ObjectRecord) -> None:
        """
        Refuse a group that has no picture, before any content is read.

        :raises ProtocolError, ObjectNotFound: it has none.
        """
        ...


def to_json(value: Mapping[str, Any]) -> bytes:
    """
    Return *value* as JSON in UTF-8.
    """
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def refusal_of(table: Mapping[type[UploadError], Refusal], error: UploadError) -> Refusal:
    """
    Return the row of *table* for the nearest class of *error*.
    """
    return next(table[kind] for kind in type(error).__mro__ if kind in table)
