"""
The slot that a client names, when it creates an upload, for the upload to be attached to.

All dialects have ``Holdfast-Attach-To: KIND/ID/SLOT``; tus also has ``attach_to`` in its metadata, and the attachments API
``objectId`` and ``type`` in its document.
"""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.service.core import names
from holdfast.service.core.conditions import ANY
from holdfast.service.protocols.http.wire import ProtocolError, Request, condition_of
from holdfast.storage.records import Intent, SlotRef, Tenant

FIELD = "holdfast-attach-to"


def intent_of(request: Request, attach_to: str | None = None) -> Intent | None:
    """
    Return the slot and condition that the field names, else *attach_to* (KIND/ID/SLOT); None without both.

    :raises ProtocolError: the value is malformed.
    """
    value = request.fields.get(FIELD, attach_to)
    if value is None:
        return None
    return Intent(slot=parse_slot(value, request.tenant), if_match=_etag(request.fields))


def _etag(fields: Mapping[str, str]) -> str | None:
    """Return the entity tag that has to match when the upload begins and when it completes; None for any."""
    condition = condition_of(fields)
    if condition.if_none_match == ANY:
        return ""  # never matches
    if condition.if_match in (None, ANY):
        return None
    if len(condition.if_match) > 1:
        raise ProtocolError(400, "if_match_invalid", "send one entity tag in If-Match with an upload")
    (tag,) = condition.if_match
    return tag[1:-1] if tag.startswith('"') else tag  # a weak one never matches


def parse_slot(value: str, tenant: Tenant) -> SlotRef:
    """
    Return the slot that ``KIND/ID/SLOT`` names.

    :raises ProtocolError: *value* is malformed.
    """
    kind, _, rest = value.partition("/")
    name, _, slot = rest.partition("/")
    identifier = names.object_id(name)
    if identifier is None or not (names.is_kind(kind) and names.is_slot(slot)):
        raise ProtocolError(400, "attach_to_invalid", "the slot to attach to has to be KIND/ID/SLOT")
    return SlotRef(tenant=tenant, kind=kind, id=identifier, slot=slot)
