"""
What an upload is going to be attached to, as a client names it when it creates the upload.

``Holdfast-Attach-To: KIND/ID/SLOT`` in any dialect; ``attach_to`` in the metadata of tus; ``objectId`` and ``type`` in the
document of the attachments API.
"""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.service.core import names
from holdfast.service.core.conditions import ANY
from holdfast.service.protocols.http.wire import ProtocolError, Request, condition_of
from holdfast.storage.records import Intent, SlotRef, Tenant

FIELD = "holdfast-attach-to"


def intent_of(request: Request, told: str | None = None) -> Intent | None:
    """
    Return what the upload is for: by the field, else as *told* in the dialect's own place.

    :raises ProtocolError: that names no slot.
    """
    value = request.fields.get(FIELD, told)
    if value is None:
        return None
    return Intent(slot=parse_slot(value, request.tenant), if_match=_etag(request.fields))


def _etag(fields: Mapping[str, str]) -> str | None:
    """Return the one etag that the object has to have, when the upload begins and when it is complete."""
    condition = condition_of(fields)
    if condition.if_none_match == ANY:
        return ""  # what an upload is for is always there
    if condition.if_match in (None, ANY):
        return None
    if len(condition.if_match) > 1:
        raise ProtocolError(400, "if_match_invalid", "an upload is for an object with one entity tag")
    (tag,) = condition.if_match
    return tag[1:-1] if tag.startswith('"') else tag  # a weak one is never that of the object


def parse_slot(value: str, tenant: Tenant) -> SlotRef:
    """
    Return the slot that ``KIND/ID/SLOT`` names.

    :raises ProtocolError: it names none.
    """
    kind, _, rest = value.partition("/")
    name, _, slot = rest.partition("/")
    identifier = names.object_id(name)
    if identifier is None or not (names.is_kind(kind) and names.is_slot(slot)):
        raise ProtocolError(400, "attach_to_invalid", "what to attach to is written KIND/ID/SLOT")
    return SlotRef(tenant=tenant, kind=kind, id=identifier, slot=slot)
