"""The OpenAPI 3.1 document of every route, served at ``/openapi.json``; a test compares it with the routes."""

from __future__ import annotations

import importlib.metadata

from holdfast.service.core import errors
from holdfast.service.protocols.attachments_api.uploads import MAX_IDEMPOTENCY_KEY
from holdfast.service.protocols.openapi.native import NATIVE_PATHS
from holdfast.service.protocols.openapi.operations import (
    APIS,
    ATTACH,
    ATTACHMENTS,
    CHANGE,
    COMMUNITY,
    COMMUNITY_QUERY,
    CONDITIONS,
    ELLIPSIS,
    FINISH,
    FIT,
    GONE,
    GUID,
    IDENTIFIER,
    KEY,
    OF_CONDITIONS,
    OF_DOCUMENT,
    OF_TYPE,
    SYMPHONY,
    field,
    operation,
    path,
    query,
)
from holdfast.service.protocols.openapi.schemas import SCHEMAS, TEXT, Schema, object_of
from holdfast.service.protocols.openapi.transfers import TRANSFER_PATHS

VERSION = importlib.metadata.version("holdfast")

_TYPE = query(
    "type", TEXT, "The name of a slot, such as `ProfilePhoto`; the name of the parameter may be in any case.", required=True
)
_OBJECT_ID = path("object", IDENTIFIER, "The id of the object in its own system; a GUID for users.")
_HOST = field(
    "X-Symphony-Host", {"type": "string", "maxLength": 255}, "The host of the caller, recorded in events.", required=True
)
_COMMUNITY_PATH = "/.api2/api/v1/communities/{community}"
_JSON = "application/json"

_ENTRY_MEMBERS: dict[str, Schema] = {
    "ContentLength": {"type": "integer", "minimum": 1, "description": "Bytes."},
    "ContentType": {"enum": ["image/jpg", "image/jpeg", "image/png", "image/gif"]},
    "Name": {"type": "string", "minLength": 1, "maxLength": 255, "description": "A file name; 255 characters at most."},
}
_INTENT: dict[str, Schema] = {
    "ObjectId": {
        "type": "string",
        "pattern": GUID,
        "description": "With `Type`: the slot that the server attaches the complete upload to.",
    },
    "Type": {"type": "string"},
}
_NEW_ENTRY = object_of({**_ENTRY_MEMBERS, **_INTENT}, optional=("ObjectId", "Type"), more=True)
_OF_ENTRY = {
    400: (
        "name_required",
        "name_invalid",
        "name_too_long",
        "contenttype_required",
        "contenttype_invalid",
        "contentlength_required",
        "contentlength_invalid",
        "idempotency_key_too_long",
        "type_unknown",
        "object_id_invalid",
        "attach_to_invalid",
    ),
    415: ("content_type_not_accepted",),
}
_OF_RANGE = {
    400: ("content_range_required", "content_range_invalid", "content_length_mismatch", "content_type_required"),
    408: ("content_timeout",),
    411: ("content_length_required",),
}
_OF_IMAGE = {400: ("invalid_document", "invalid_base64", "repeated_value", "document_too_large", "data_type_mismatch")}
_OFFSETS = (errors.OffsetMismatch, errors.LengthMismatch, errors.LengthExceeded, errors.ContentConflict, errors.AlreadyComplete)
_PICTURE_TROUBLE = (*FIT, errors.ObjectNotFound, errors.SlotChanged, errors.ManagedElsewhere, errors.ContentRejected)

_ELLIPSIS_PATHS: dict[str, Schema] = {
    f"{prefix}/organization/group/{{group}}/profile": {
        "parameters": [path("group", GUID)],
        "patch": operation(
            name,
            "Set the picture of an organization's group, as base64 or as a data: URL.",
            {200: ("GroupPicture", "The picture is set; the same picture again changes nothing.")},
            api=ELLIPSIS,
            refused=(*_PICTURE_TROUBLE, errors.SlotBusy, errors.OutOfSpace, errors.ContentCut),
            codes=(
                _OF_IMAGE,
                OF_CONDITIONS,
                {400: ("picture_required", "picture_null", "picture_empty", "picture_not_string", "group_id_invalid")},
                {408: ("document_cut",), 415: ("unsupported_media_type",), 503: ("documents_waiting",)},
            ),
            content={_JSON: object_of({"picture": TEXT}, more=True)},
            parameters=CONDITIONS,
            fields=("ETag",),
        ),
    }
    for prefix, name in (("", "setGroupPicture"), ("/v3", "setGroupPictureV3"))
}

PATHS: dict[str, Schema] = {
    **TRANSFER_PATHS,
    **NATIVE_PATHS,
    f"{_COMMUNITY_PATH}/attachments": {
        "parameters": [COMMUNITY],
        "post": operation(
            "createEntry",
            "Create an upload entry for an image.",
            {201: ("Entry", "The entry; the client sends its content to `Location`.")},
            api=ATTACHMENTS,
            refused=(*FINISH, *FIT, errors.IdempotencyConflict),
            codes=(OF_DOCUMENT, OF_CONDITIONS, _OF_ENTRY),
            content={_JSON: _NEW_ENTRY, "application/x-www-form-urlencoded": object_of(_ENTRY_MEMBERS, more=True)},
            parameters=(
                field(
                    "Idempotency-Key",
                    {"type": "string", "maxLength": MAX_IDEMPOTENCY_KEY},
                    "A repeated request returns the same entry.",
                ),
                *CONDITIONS,
            ),
            fields=("Location",),
            description="Names of members may be in any case.",
        ),
    },
    f"{_COMMUNITY_PATH}/attachments/uploads/{{key}}": {
        "parameters": [COMMUNITY, KEY],
        "patch": operation(
            "sendContent",
            "Send content, or get the offset (`bytes */LENGTH`).",
            {200: ("Entry", "The upload is complete."), 202: ("Entry", "The offset at which the next range begins.")},
            api=ATTACHMENTS,
            refused=(*FINISH, *_OFFSETS, errors.TooLarge, errors.TypeMismatch),
            codes=(_OF_RANGE,),
            content={kind: {"type": "string", "format": "binary"} for kind in ("image/jpeg", "image/png", "image/gif")},
            parameters=(field("Content-Range", TEXT, "`bytes FIRST-LAST/LENGTH`", required=True),),
            fields=("Upload-Offset",),
        ),
        "get": operation(
            "getEntry",
            "Get the offset of an upload; ends an append in progress.",
            {200: ("Entry", "The upload is complete."), 202: ("Entry", "The offset.")},
            api=ATTACHMENTS,
            refused=FINISH,
            fields=("Upload-Offset",),
        ),
        "delete": operation(
            "deleteEntry",
            "Cancel an upload, or delete an attachment that is in no slot.",
            {204: (None, "The upload is deleted.")},
            api=ATTACHMENTS,
            refused=(*GONE, errors.UploadAttached, errors.Evicted, errors.OutOfSpace),
        ),
    },
    f"{_COMMUNITY_PATH}/attachments/{{key}}/association/{{object}}": {
        "parameters": [COMMUNITY, KEY, _OBJECT_ID, _TYPE],
        "post": operation(
            "associate",
            "Associate an attachment with an object.",
            {200: ("Entry", "The attachment is associated; repeating the request changes nothing.")},
            api=ATTACHMENTS,
            refused=ATTACH,
            codes=(OF_TYPE, OF_CONDITIONS, {503: ("images_busy",)}),
            parameters=CONDITIONS,
            fields=("ETag",),
        ),
        "delete": operation(
            "dissociate",
            "End the association.",
            {204: (None, "The association has ended.")},
            api=ATTACHMENTS,
            refused=(*CHANGE, errors.NotAttached),
            codes=(OF_TYPE, OF_CONDITIONS),
            parameters=CONDITIONS,
            fields=("ETag",),
        ),
    },
    f"{_COMMUNITY_PATH}/objects/{{object}}/attachments": {
        "parameters": [COMMUNITY, _OBJECT_ID, _TYPE],
        "get": operation(
            "listAssociated",
            "List the attachments of an object.",
            {200: ("Entries", "In the order of the slot.")},
            api=ATTACHMENTS,
            refused=(errors.ObjectNotFound, errors.SlotUnknown),
            codes=(OF_TYPE,),
            fields=("ETag",),
        ),
    },
    "/.api/api.svc/attachments/{key}/view": {
        "parameters": [KEY, COMMUNITY_QUERY],
        "get": operation(
            "viewAttachment",
            "Get an attachment, as in the older Igloo API.",
            {200: ("View", "The attachment; the URL may have two slashes after `api.svc`.")},
            api=ATTACHMENTS,
            refused=GONE,
        ),
    },
    "/profile-manager/v1/groups/{group}": {
        "parameters": [path("group"), _HOST],
        "get": operation(
            "getGroup",
            "Get a group.",
            {200: ("Group", "The group, with the attributes from its own system.")},
            api=SYMPHONY,
            refused=(errors.ObjectNotFound,),
            fields=("ETag",),
        ),
    },
    "/profile-manager/v1/groups/{group}/avatar": {
        "parameters": [path("group"), _HOST],
        "post": operation(
            "setGroupAvatar",
            "Set the avatar of a group.",
            {200: ("Group", "The whole group; the same picture again changes nothing.")},
            api=SYMPHONY,
            refused=(*_PICTURE_TROUBLE, errors.ContentCut),
            codes=(
                _OF_IMAGE,
                OF_CONDITIONS,
                {400: ("image_required", "image_empty", "image_not_string", "group_type_invalid")},
                {400: ("unsupported_media_type",)},
            ),
            content={_JSON: object_of({"image": {"type": "string", "format": "byte"}}, more=True)},
            parameters=CONDITIONS,
            fields=("ETag",),
        ),
    },
    **_ELLIPSIS_PATHS,
}

DOCUMENT: Schema = {
    "openapi": "3.1.0",
    "info": {
        "title": "Holdfast",
        "version": VERSION,
        "description": "Resumable uploads, the attachments that they become, and the slots of objects that hold them.  "
        "Without accounts no token is needed.",
    },
    "tags": [{"name": api.tag, "description": api.summary} for api in APIS],
    "security": [{"bearer": []}, {"cookie": []}, {"link": []}, {}],
    "paths": PATHS,
    "components": {
        "schemas": SCHEMAS,
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            "cookie": {"type": "apiKey", "in": "cookie", "name": "iglooauth"},
            "link": {"type": "apiKey", "in": "query", "name": "link", "description": "A signed link, for its own upload only."},
        },
    },
}
