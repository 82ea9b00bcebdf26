"""
What an upload is going to be attached to, as a client names it when it creates the upload.

``Holdfast-Attach-To: KIND/ID/SLOT`` in any dialect; ``attach_to`` in the metadata of tus; ``objectId`` and ``type`` in the
document of the attachments API.
"""

from __future__ import annotations

import re

from service.core.names import canonical_guid
from service.protocols.wire import ProtocolError, Request, entity_tag
from storage.records import Intent, SlotRef, Tenant

FIELD = "holdfast-attach-to"

KIND = re.compile(r"[a-z][a-z0-9_]{0,63}")
ID = re.compile(r"[0-9A-Za-z._~=+-]{1,255}")
SLOT = re.compile(r"[A-Za-z][0-9A-Za-z_]{0,63}")


def intent_of(request: Request, told: str | None = None) -> Intent | None:
    """
    Return what the upload is for: by the field, else as *told* in the dialect's own place.

    :raises ProtocolError: that names no slot.
    """
    value = request.fields.get(FIELD, told)
    if value is None:
        return None
    return Intent(slot=parse_slot(value, request.tenant), if_match=entity_tag(request.fields))


def parse_slot(value: str, tenant: Tenant) -> SlotRef:
    """
    Return the slot that ``KIND/ID/SLOT`` names.

    :raises ProtocolError: it names none.
    """
    kind, _, rest = value.partition("/")
    name, _, slot = rest.partition("/")
    if not (KIND.fullmatch(kind) and ID.fullmatch(name) and SLOT.fullmatch(slot)):
        raise ProtocolError(400, "attach_to_invalid", "what to attach to is written KIND/ID/SLOT")
    # A GUID is the same however it is written.
    return SlotRef(tenant=tenant, kind=kind, id=canonical_guid(name) or name, slot=slot)
