"""
The attachments API, its third request: an attachment is associated with an object.

The dialect of the Igloo digital workplace; the content and its upload are those of `service.protocols.content_range`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import parse_qsl

from service.core.commands import Attach, Detach, SlotCommand, SlotOutcome
from service.core.errors import UploadError
from service.core.policies import BUILT_IN
from service.protocols.content_range import ContentRange, to_response
from service.protocols.fields import canonical_guid
from service.protocols.wire import ProtocolError, Request, Response
from storage.records import Ref, SlotRef

METHODS = "POST, DELETE, OPTIONS"
MAX_PARAMETERS = 32

_ENTITY_TAG = re.compile(r'"([!#-~]*)"')

KINDS = {policy.slot: policy.kind for policy in BUILT_IN}


class Association:
    """
    The dialect of ``…/attachments/{key}/association/{objectId}?type=SLOT``.
    """

    def __init__(self, content_range: ContentRange, object_id: str) -> None:
        self._content_range = content_range
        self._object_id = object_id

    def document_limit(self, _request: Request) -> int:
        return 0

    def receive(self, request: Request) -> SlotCommand | Response:
        if request.method == "OPTIONS":
            return Response(status=204, fields=(("Allow", METHODS),))
        if request.method not in ("POST", "DELETE") or request.key is None:
            raise ProtocolError(405, "method_not_allowed", f"{request.method} means nothing here", (("Allow", METHODS),))
        ref = Ref(tenant=request.tenant, key=request.key)
        verb = Attach if request.method == "POST" else Detach
        return verb(ref=ref, slot=self._slot(request), if_match=_if_match(request))

    def send(self, _request: Request, command: SlotCommand, outcome: SlotOutcome) -> Response:
        etag = ("ETag", f'"{outcome.slot.etag}"')
        if isinstance(command, Detach):
            return Response(status=204, fields=(etag,))
        return to_response(200, self._content_range.document(outcome.record), (etag,))

    def reject(self, request: Request, error: ProtocolError | UploadError) -> Response:
        return self._content_range.reject(request, error)

    def _slot(self, request: Request) -> SlotRef:
        slot = _type(request.query)
        # "objectId: GUID, the ID of the object to associate"
        identifier = canonical_guid(self._object_id)
        if identifier is None:
            raise ProtocolError(400, "object_id_invalid", "objectId has to be a GUID")
        if slot not in KINDS:
            raise ProtocolError(400, "type_unknown", f"type has to be one of {', '.join(sorted(KINDS))}")
        return SlotRef(tenant=request.tenant, kind=KINDS[slot], id=identifier, slot=slot)


def _type(query: str) -> str:
    """Return the type; its name is written "type" in the table and "Type" in the text, so the case makes no difference."""
    try:
        pairs: Sequence[tuple[str, str]] = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError as error:
        raise ProtocolError(400, "type_required", "the query cannot be understood") from error
    values = [value for name, value in pairs if name.lower() == "type"]
    if len(values) > 1:
        raise ProtocolError(400, "repeated_value", "type stands there twice")
    if not values or not values[0]:
        raise ProtocolError(400, "type_required", "type is missing")
    return values[0]


def _if_match(request: Request) -> str | None:
    """Return the etag that the slot has to have (RFC 9110, section 13.1)."""
    if request.fields.get("if-none-match") == "*":
        return ""
    value = request.fields.get("if-match")
    if value is None or value == "*":
        return None
    tag = _ENTITY_TAG.fullmatch(value)
    if tag is None:
        raise ProtocolError(400, "if_match_invalid", "If-Match has to be one entity tag")
    return tag[1]
