"""
The description of every route in JSON (OpenAPI 3.1), served at ``/openapi.json``; a test compares it with the routes.
"""

from __future__ import annotations

from typing import Any

from service.core.principals import Capability
from storage.objects import Ending
from storage.records import State

VERSION = "1"
GUID = "^\\{?[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}\\}?$"
KEY = "^[0-9A-Za-z]{10}$"

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_MAYBE_TEXT: Schema = {"type": ["string", "null"]}
_MAYBE_TIME: Schema = {"type": ["string", "null"], "format": "date-time"}
_TIME: Schema = {"type": "string", "format": "date-time"}
_COUNT: Schema = {"type": "integer", "minimum": 0}


def _object(members: dict[str, Schema], *, optional: tuple[str, ...] = (), more: bool = False) -> Schema:
    required = [name for name in members if name not in optional]
    return {"type": "object", "properties": members, "required": required, "additionalProperties": more}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_ASSOCIATION: dict[str, Schema] = {"key": _TEXT, "association": _TEXT, "attachedAt": _TIME, "attachedBy": _MAYBE_TEXT}
_OBJECT: dict[str, Schema] = {
    "kind": _TEXT,
    "id": _TEXT,
    "etag": _TEXT,
    "attributes": {"type": "object"},
    "createdAt": _TIME,
    "updatedAt": _TIME,
    "updatedBy": _MAYBE_TEXT,
}
_SIZES = _list(_object({"size": _TEXT, "url": _TEXT}))

SCHEMAS: dict[str, Schema] = {
    "Problem": _object({"type": _TEXT, "title": _TEXT, "status": {"type": "integer"}, "detail": _TEXT}),
    "Refusal": _object({"code": _TEXT, "message": _TEXT}, more=True),
    "Attachment": _object(
        {
            "key": _TEXT,
            "state": {"enum": [state.value for state in State]},
            "name": _MAYBE_TEXT,
            "contentType": _MAYBE_TEXT,
            "offset": _COUNT,
            "length": {"type": ["integer", "null"], "minimum": 0},
            "createdAt": _TIME,
            "createdBy": _MAYBE_TEXT,
            "expiresAt": _MAYBE_TIME,
            "attached": _list(_object({"kind": _TEXT, "id": _TEXT, "slot": _TEXT})),
        }
    ),
    "Link": _object({"purpose": {"enum": [*Capability]}, "link": _TEXT, "url": _MAYBE_TEXT, "expiresAt": _TIME}),
    "Event": _object(
        {
            "id": _TEXT,
            "type": _TEXT,
            "at": _TIME,
            "actor": _MAYBE_TEXT,
            "originator": _MAYBE_TEXT,
            "attachment": _MAYBE_TEXT,
            "kind": _MAYBE_TEXT,
            "objectId": _MAYBE_TEXT,
            "slot": _MAYBE_TEXT,
            "data": {"type": "object"},
            "cursor": _TEXT,
        }
    ),
    "Events": _object({"items": _list(_ref("Event")), "next": _MAYBE_TEXT, "more": {"type": "boolean"}}),
    "ObjectSummary": _object(_OBJECT),
    "Objects": _object({"items": _list(_ref("ObjectSummary")), "next": _MAYBE_TEXT}),
    "Association": _object(_ASSOCIATION),
    "Object": _object(
        {
            **_OBJECT,
            "slots": {
                "type": "object",
                "additionalProperties": _object({"etag": _TEXT, "attachments": _list(_ref("Association"))}),
            },
        }
    ),
    "Past": _object(
        {**_ASSOCIATION, "endedAt": _MAYBE_TIME, "endedBy": _MAYBE_TEXT, "ending": {"enum": [*(e.value for e in Ending), None]}}
    ),
    "Slot": _object(
        {
            "kind": _TEXT,
            "id": _TEXT,
            "slot": _TEXT,
            "etag": _TEXT,
            "attachments": _list(_ref("Association")),
            "history": _list(_ref("Past")),
        }
    ),
    "Entry": _object(
        {
            "key": _TEXT,
            "name": _MAYBE_TEXT,
            "contentType": _MAYBE_TEXT,
            "contentLength": {"type": ["integer", "null"]},
            "binaryLocation": _MAYBE_TEXT,
            "thumbnailLocation": _MAYBE_TEXT,
            "isProfilePhoto": {"type": "boolean"},
            "offset": _COUNT,
            "nextExpectedRanges": _list(_TEXT),
            "expiresAt": _MAYBE_TEXT,
        },
        optional=("nextExpectedRanges", "expiresAt"),
    ),
    "Entries": _object({"items": _list(_object({"key": _TEXT, "binaryLocation": _TEXT}))}),
    "Group": _object(
        {"id": _TEXT, "eTag": _TEXT, "profile": _object({"avatars": _SIZES}, more=True)},
        more=True,
    ),
    "GroupPicture": _object(
        {
            "id": _TEXT,
            "name": {},
            "picture": _object({"url": _TEXT, "sizes": {"type": "object", "additionalProperties": _TEXT}}),
        }
    ),
}


def _path(name: str, pattern: str | None = None) -> Schema:
    schema: Schema = {"type": "string"} if pattern is None else {"type": "string", "pattern": pattern}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query(name: str, schema: Schema, *, required: bool = False) -> Schema:
    return {"name": name, "in": "query", "required": required, "schema": schema}


def _header(name: str, *, required: bool = False) -> Schema:
    return {"name": name, "in": "header", "required": required, "schema": {"type": "string", "maxLength": 255}}


_COMMUNITY_QUERY = _query("communityKey", {"type": "string", "pattern": "^(0|[1-9][0-9]{0,17})$"})
_AFTER, _LIMIT = (
    _query("after", {"type": "string", "maxLength": 255}),
    _query("limit", {"type": "integer", "minimum": 1, "maximum": 1000}),
)
_KIND, _ID, _SLOT = (
    _path("kind", "^[a-z][a-z0-9_]{0,63}$"),
    _path("id", "^[0-9A-Za-z._~=+-]{1,255}$"),
    _path("slot", "^[A-Za-z][0-9A-Za-z_]{0,63}$"),
)
_KEY = _path("key", KEY)
_COMMUNITY = _path("community", "^(0|[1-9][0-9]{0,17})$")
_TYPE = _query("type", {"type": "string"}, required=True)
_IF_MATCH = {"name": "If-Match", "in": "header", "required": False, "schema": {"type": "string", "pattern": '^("[!#-~]*"|\\*)$'}}
_OBJECT_ID = _path("object", GUID)

# What any request may be answered with: by whoever is asked who it is from, and by stores that do not answer.
_COMMON = (400, 401, 403, 404, 405, 408, 409, 410, 411, 412, 413, 414, 415, 422, 423, 429, 431, 503, 507)


def _operation(
    summary: str,
    success: dict[int, str | None],
    *,
    content: Schema | None = None,
    needs_content: bool = True,
    form: Schema | None = None,
    parameters: tuple[Schema, ...] = (),
    errors: str = "Problem",
    statuses: tuple[int, ...] = _COMMON,
) -> Schema:
    kinds = {"Problem": "application/problem+json", "Refusal": "application/json"}
    refused: Schema = {"description": "Refused."}
    if errors in kinds:
        refused["content"] = {kinds[errors]: {"schema": _ref(errors)}}
    else:
        refused["content"] = {"text/plain": {"schema": _TEXT}}
    answers: Schema = {str(status): refused for status in statuses}
    for status, name in success.items():
        answers[str(status)] = {"description": "Done."}
        if name is not None:
            answers[str(status)]["content"] = {"application/json": {"schema": _ref(name)}}
    described: Schema = {"summary": summary, "responses": answers}
    if parameters:
        described["parameters"] = list(parameters)
    if content is not None:
        bodies: Schema = {"application/json": {"schema": content}}
        if form is not None:
            bodies["application/x-www-form-urlencoded"] = {"schema": form}
        described["requestBody"] = {"required": needs_content, "content": bodies}
    return described


_ENTRY_MEMBERS: dict[str, Schema] = {
    "ContentLength": {"type": "integer", "minimum": 1},
    "ContentType": {"enum": ["image/jpg", "image/jpeg", "image/png", "image/gif"]},
    "Name": {"type": "string", "minLength": 1, "maxLength": 255},
}
_NEW_ENTRY = _object(
    {**_ENTRY_MEMBERS, "ObjectId": {"type": "string", "pattern": GUID}, "Type": {"type": "string"}},
    optional=("ObjectId", "Type"),
    more=True,
)
_IMAGE = _object({"image": {"type": "string", "format": "byte"}}, more=True)
_PICTURE = _object({"picture": {"type": "string"}}, more=True)
_SYMPHONY_STATUSES = (400, 401, 403, 404, 405, 412, 429)
_UPLOAD_COMMUNITY = "/.api2/api/v1/communities/{community}"
_ELLIPSIS: Schema = {
    "parameters": [_path("group", GUID)],
    "patch": _operation(
        "Set the picture of an organization's group, as base64 or as a data: URL.",
        {200: "GroupPicture"},
        content=_PICTURE,
        parameters=(_IF_MATCH,),
        errors="text",
    ),
}

PATHS: dict[str, Schema] = {
    "/api/v1/attachments/{key}": {
        "parameters": [_KEY, _COMMUNITY_QUERY],
        "get": _operation("Tell what is known of an attachment.", {200: "Attachment"}),
        "delete": _operation("Delete an attachment that is in no slot, or give an upload up.", {204: None}),
    },
    "/api/v1/attachments/{key}/events": {
        "parameters": [_KEY, _COMMUNITY_QUERY],
        "get": _operation("Tell what happened to an attachment.", {200: "Events"}, parameters=(_AFTER, _LIMIT)),
    },
    "/api/v1/attachments/{key}/links": {
        "parameters": [_KEY, _COMMUNITY_QUERY],
        "post": _operation(
            "Sign a link that opens one attachment for one purpose.",
            {201: "Link"},
            content=_object(
                {"purpose": {"enum": [*Capability]}, "seconds": {"type": "integer", "minimum": 1}},
                optional=("seconds",),
                more=True,
            ),
        ),
    },
    "/api/v1/events": {
        "parameters": [_COMMUNITY_QUERY],
        "get": _operation("Tell what happened in a tenant.", {200: "Events"}, parameters=(_AFTER, _LIMIT)),
    },
    "/api/v1/objects/{kind}": {
        "parameters": [_KIND, _COMMUNITY_QUERY],
        "get": _operation("List objects of one kind.", {200: "Objects"}, parameters=(_AFTER, _LIMIT)),
    },
    "/api/v1/objects/{kind}/{id}": {
        "parameters": [_KIND, _ID, _COMMUNITY_QUERY],
        "get": _operation("Tell what is known of an object, and what is in its slots.", {200: "Object"}),
        "put": _operation(
            "Make an object known, or change its attributes.",
            {200: "Object"},
            content={"type": "object"},
            parameters=(_IF_MATCH,),
        ),
        "delete": _operation("Forget an object; what is in its slots leaves them.", {204: None}, parameters=(_IF_MATCH,)),
    },
    "/api/v1/objects/{kind}/{id}/slots/{slot}": {
        "parameters": [_KIND, _ID, _SLOT, _COMMUNITY_QUERY],
        "get": _operation("Tell what is and was in a slot.", {200: "Slot"}),
        "put": _operation(
            "Change the order of a slot.",
            {200: "Slot"},
            content=_object({"order": _list(_TEXT)}, more=True),
            parameters=(_IF_MATCH,),
        ),
        "delete": _operation("Empty a slot.", {200: "Slot"}, parameters=(_IF_MATCH,)),
    },
    "/api/v1/objects/{kind}/{id}/slots/{slot}/attachments/{key}": {
        "parameters": [_KIND, _ID, _SLOT, _KEY, _COMMUNITY_QUERY],
        "put": _operation(
            "Attach; in a slot of one, instead of what is there.",
            {200: "Slot"},
            content=_object({"place": _COUNT}, optional=("place",), more=True),
            needs_content=False,
            parameters=(_IF_MATCH,),
        ),
        "delete": _operation("Detach.", {200: "Slot"}, parameters=(_IF_MATCH,)),
    },
    "/api/v1/objects/{kind}/{id}/slots/{slot}/undo": {
        "parameters": [_KIND, _ID, _SLOT, _COMMUNITY_QUERY],
        "post": _operation("Put back what left the slot last.", {200: "Slot"}, parameters=(_IF_MATCH,)),
    },
    f"{_UPLOAD_COMMUNITY}/attachments": {
        "parameters": [_COMMUNITY],
        "post": _operation(
            "Create an upload entry.",
            {201: "Entry"},
            content=_NEW_ENTRY,
            form=_object(_ENTRY_MEMBERS, more=True),
            parameters=(_header("Idempotency-Key"),),
            errors="Refusal",
        ),
    },
    f"{_UPLOAD_COMMUNITY}/attachments/{{key}}/association/{{object}}": {
        "parameters": [_COMMUNITY, _KEY, _OBJECT_ID, _TYPE],
        "post": _operation("Associate an attachment with an object.", {200: "Entry"}, parameters=(_IF_MATCH,), errors="Refusal"),
        "delete": _operation("End the association.", {204: None}, parameters=(_IF_MATCH,), errors="Refusal"),
    },
    f"{_UPLOAD_COMMUNITY}/objects/{{object}}/attachments": {
        "parameters": [_COMMUNITY, _OBJECT_ID, _TYPE],
        "get": _operation("List what is associated with an object.", {200: "Entries"}, errors="Refusal"),
    },
    "/profile-manager/v1/groups/{group}": {
        "parameters": [_path("group"), _header("X-Symphony-Host", required=True)],
        "get": _operation("Tell what is known of a group.", {200: "Group"}, errors="Refusal", statuses=_SYMPHONY_STATUSES),
    },
    "/profile-manager/v1/groups/{group}/avatar": {
        "parameters": [_path("group"), _header("X-Symphony-Host", required=True)],
        "post": _operation(
            "Set the avatar of a group.",
            {200: "Group"},
            content=_IMAGE,
            parameters=(_IF_MATCH,),
            errors="Refusal",
            statuses=_SYMPHONY_STATUSES,
        ),
    },
    "/organization/group/{group}/profile": _ELLIPSIS,
    "/v3/organization/group/{group}/profile": _ELLIPSIS,
}

DOCUMENT: Schema = {
    "openapi": "3.1.0",
    "info": {
        "title": "Holdfast",
        "version": VERSION,
        "description": "Objects of other systems, their slots, and the attachments in them.  Uploads speak tus, the IETF draft "
        "for resumable uploads and Content-Range besides, which are no JSON.",
    },
    "security": [{"bearer": []}, {"cookie": []}, {}],
    "paths": PATHS,
    "components": {
        "schemas": SCHEMAS,
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            "cookie": {"type": "apiKey", "in": "cookie", "name": "iglooauth"},
        },
    },
}
