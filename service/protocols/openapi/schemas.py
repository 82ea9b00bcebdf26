"""
The shapes of what is answered in JSON, for the description of the routes.
"""

from __future__ import annotations

from typing import Any

from holdfast.service.core.principals import Capability
from holdfast.storage.objects import Ending
from holdfast.storage.records import State

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
MAYBE_TEXT: Schema = {"type": ["string", "null"]}
MAYBE_TIME: Schema = {"type": ["string", "null"], "format": "date-time"}
TIME: Schema = {"type": "string", "format": "date-time"}
COUNT: Schema = {"type": "integer", "minimum": 0}

SLOT_ETAG: Schema = {**TEXT, "description": "Empty as long as nothing was ever in the slot."}


def object_of(members: dict[str, Schema], *, optional: tuple[str, ...] = (), more: bool = False) -> Schema:
    required = [name for name in members if name not in optional]
    return {"type": "object", "properties": members, "required": required, "additionalProperties": more}


def list_of(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def ref_of(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_ASSOCIATION: dict[str, Schema] = {"key": TEXT, "association": TEXT, "attachedAt": TIME, "attachedBy": MAYBE_TEXT}
_OBJECT: dict[str, Schema] = {
    "kind": TEXT,
    "id": TEXT,
    "etag": TEXT,
    "attributes": {"type": "object"},
    "createdAt": TIME,
    "updatedAt": TIME,
    "updatedBy": MAYBE_TEXT,
}
_SIZES = list_of(object_of({"size": TEXT, "url": TEXT}))

SCHEMAS: dict[str, Schema] = {
    "Problem": object_of(
        {
            "type": TEXT,
            "title": {**TEXT, "description": "The code of the error."},
            "status": {"type": "integer"},
            "detail": {**TEXT, "description": "A sentence for whoever writes the client."},
        }
    ),
    "Refusal": object_of({"code": TEXT, "message": TEXT}, more=True),
    "Attachment": object_of(
        {
            "key": TEXT,
            "state": {"enum": [state.value for state in State]},
            "name": MAYBE_TEXT,
            "contentType": MAYBE_TEXT,
            "contentEncoding": MAYBE_TEXT,
            "offset": COUNT,
            "length": {"type": ["integer", "null"], "minimum": 0},
            "createdAt": TIME,
            "createdBy": MAYBE_TEXT,
            "expiresAt": MAYBE_TIME,
            "attached": list_of(object_of({"kind": TEXT, "id": TEXT, "slot": TEXT})),
        }
    ),
    "Link": object_of({"purpose": {"enum": [*Capability]}, "link": TEXT, "url": MAYBE_TEXT, "expiresAt": TIME}),
    "Event": object_of(
        {
            "id": TEXT,
            "type": TEXT,
            "at": TIME,
            "actor": MAYBE_TEXT,
            "originator": MAYBE_TEXT,
            "attachment": MAYBE_TEXT,
            "kind": MAYBE_TEXT,
            "objectId": MAYBE_TEXT,
            "slot": MAYBE_TEXT,
            "data": {"type": "object"},
            "cursor": TEXT,
        }
    ),
    "Events": object_of({"items": list_of(ref_of("Event")), "next": TEXT, "more": {"type": "boolean"}}),
    "ObjectSummary": object_of(_OBJECT),
    "Objects": object_of({"items": list_of(ref_of("ObjectSummary")), "next": MAYBE_TEXT}),
    "Association": object_of(_ASSOCIATION),
    "Attached": object_of(
        {
            **_ASSOCIATION,
            "name": MAYBE_TEXT,
            "contentType": {**MAYBE_TEXT, "description": "As it was declared."},
            "length": {**COUNT, "description": "Bytes."},
        },
        optional=("name", "contentType", "length"),
    ),
    "Object": object_of(
        {
            **_OBJECT,
            "slots": {
                "type": "object",
                "additionalProperties": object_of({"etag": SLOT_ETAG, "attachments": list_of(ref_of("Association"))}),
            },
        }
    ),
    "Past": object_of(
        {**_ASSOCIATION, "endedAt": MAYBE_TIME, "endedBy": MAYBE_TEXT, "ending": {"enum": [*(e.value for e in Ending), None]}}
    ),
    "Slot": object_of(
        {
            "kind": TEXT,
            "id": TEXT,
            "slot": TEXT,
            "etag": SLOT_ETAG,
            "attachments": list_of(ref_of("Attached")),
            "history": list_of(ref_of("Past")),
        }
    ),
    "Entry": object_of(
        {
            "key": TEXT,
            "name": MAYBE_TEXT,
            "contentType": MAYBE_TEXT,
            "contentLength": {"type": ["integer", "null"]},
            "binaryLocation": MAYBE_TEXT,
            "thumbnailLocation": MAYBE_TEXT,
            "isProfilePhoto": {"type": "boolean"},
            "offset": COUNT,
            "nextExpectedRanges": list_of(TEXT),
            "expiresAt": MAYBE_TEXT,
        },
        optional=("nextExpectedRanges", "expiresAt"),
    ),
    "View": object_of({"response": ref_of("Entry")}),
    "Entries": object_of({"items": list_of(ref_of("Entry"))}),
    "Group": object_of(
        {"id": TEXT, "eTag": TEXT, "profile": object_of({"avatars": _SIZES}, more=True)},
        more=True,
    ),
    "GroupPicture": object_of(
        {
            "id": TEXT,
            "name": {},
            "picture": object_of({"url": TEXT, "sizes": {"type": "object", "additionalProperties": TEXT}})
            | {"type": ["object", "null"]},
        }
    ),
}
