"""
The description of uploads at ``/files``, of downloads and of pictures, whose content is no JSON, and of what operators ask for.
"""

from __future__ import annotations

from holdfast.service.core import errors
from holdfast.service.protocols.openapi.operations import (
    ATTACHMENTS,
    COMMUNITY,
    COMMUNITY_QUERY,
    GONE,
    ID,
    IDENTIFIER,
    KEY,
    KIND,
    NATIVE,
    OF_CONDITIONS,
    OF_SLOT,
    OPERATIONS,
    SLOT,
    UPLOADS,
    Api,
    Codes,
    Success,
    field,
    operation,
    path,
    query,
)
from holdfast.service.protocols.openapi.schemas import COUNT, TEXT, Schema, object_of
from holdfast.service.protocols.uploads.tus import CONTENT_TYPE

_BYTES: Schema = {"type": "string", "format": "binary"}
_ANY: Schema = {"*/*": {"schema": _BYTES}}
_IMAGE: Schema = {"image/*": {"schema": _BYTES}}
_OVER = (
    errors.UploadCancelled,
    errors.UploadExpired,
    errors.UploadInvalid,
    errors.UploadPurged,
    errors.ContentLost,
    errors.ContentRejected,
)
_INTENT = (
    errors.ObjectNotFound,
    errors.SlotUnknown,
    errors.SlotChanged,
    errors.SlotFull,
    errors.SlotBusy,
    errors.ManagedElsewhere,
    errors.NotAccepted,
)
_FINISH = (*_OVER, *_INTENT, errors.Evicted, errors.FinishFailed, errors.OutOfSpace)
_CREATE = (*_FINISH, errors.LengthMismatch, errors.LengthExceeded, errors.TooLarge, errors.AppendsEmpty)
_APPEND = (*_CREATE, errors.OffsetMismatch, errors.AlreadyComplete)
_TUS = field("Tus-Resumable", {"enum": ["1.0.0"]}, "The client speaks tus.")
_COMPLETE = field("Upload-Complete", {"enum": ["?0", "?1"]}, "The client speaks the IETF draft; `?1`: this content is the last.")
_LENGTH = field("Upload-Length", COUNT, "Bytes of the whole upload.")
_METADATA = field("Upload-Metadata", TEXT, "tus: `filename` and `filetype` in base64, and whatever the client wants to keep.")
_ATTACH_TO = field("Holdfast-Attach-To", TEXT, "KIND/ID/SLOT: what the upload is attached to when it is complete.")
_OF_TUS: Codes = {412: ("version_not_supported",)}
_OF_CREATION: Codes = {
    400: (
        "protocol_missing",
        "invalid_length",
        "invalid_defer_length",
        "invalid_metadata",
        "concatenation_not_supported",
        "override_not_allowed",
        "attach_to_invalid",
        "upload_complete_required",
        "content_encoding_invalid",
    ),
    408: ("content_timeout",),
    431: ("metadata_too_large",),
    503: ("shutting_down",),
}
_OF_APPEND: Codes = {
    400: ("protocol_missing", "invalid_length", "invalid_offset", "upload_offset_required", "upload_complete_required"),
    408: ("content_timeout",),
    415: ("unsupported_media_type",),
    503: ("shutting_down",),
}
_OF_DOWNLOAD: Codes = {404: ("upload_incomplete", "no_thumbnail"), 503: ("images_busy", "answers_waiting")}
_OF_PICTURE: Codes = {
    400: ("size_invalid", "crop_invalid"),
    404: ("upload_incomplete", "no_thumbnail"),
    503: ("images_busy", "answers_waiting"),
}
_DOWNLOAD: Success = {
    200: (_ANY, "The content; for callers who may not see originals, an image without its metadata."),
    206: (_ANY, "The range that was asked for."),
    304: (None, "The client has it already."),
    307: (None, "The store itself serves the content, where `Location` says, for a short time."),
    412: (None, "It is not as `If-Match` or `If-Unmodified-Since` says."),
    416: (None, "The range begins behind the end."),
}
_RANGES = (
    field("Range", TEXT, "`bytes=FIRST-LAST`; the server ignores units that it does not know, and several ranges."),
    field("If-Range", TEXT, "An ETag, or a date: send the range if the content has it, otherwise all."),
    field("If-None-Match", TEXT, "ETags that the client has."),
    field("If-Match", TEXT, "ETags of which the content has to have one."),
    field("If-Modified-Since", TEXT),
    field("If-Unmodified-Since", TEXT),
)
_DESCRIBED = ("ETag", "Last-Modified", "Content-Range", "Content-Disposition")
_SIZES = tuple(
    query(name, {"type": "integer", "minimum": 1, "maximum": 4096}, "Pixels; the server takes its next larger size.")
    for name in ("width", "height")
)
_CROP = query("crop", {"type": "string", "enum": ["true", "false"]}, "Whether the picture is cut to these sides.")
_NAME = path("name", None, "A file name; the server ignores it.")
_SHOWN: Success = {200: (_IMAGE, "The picture."), 304: (None, "The client has it already.")}
# Tools that follow the redirect see the picture at once.
_LEADS: Success = {302: (None, "`Location` is the picture, or the default one."), **_SHOWN}
_STATUS = object_of({"status": {"enum": ["ok", "failed"]}})
_READY = object_of(
    {"status": {"enum": ["ok", "failed"]}, "stores": {"type": "object", "additionalProperties": {"enum": ["ok", "failed"]}}}
)


def _stores(status: str) -> Schema:
    return {"application/json": {"schema": _READY, "example": {"status": status, "stores": {"bytes": status}}}}


def _picture(
    name: str, summary: str, success: Success, *, api: Api = ATTACHMENTS, codes: Codes, is_stable: bool = False
) -> Schema:
    """Describe a picture; one with a stable URL is in a slot, or the default one."""
    return operation(
        name,
        summary,
        success,
        api=api,
        refused=(*GONE, *((errors.SlotUnknown,) if is_stable else ())),
        codes=(codes, OF_CONDITIONS),
        parameters=(field("If-None-Match", TEXT, "ETags that the client has."),),
        fields=("ETag", "Cache-Control"),
    )


def _creation(name: str, summary: str, codes: Codes) -> Schema:
    return operation(
        name,
        summary,
        {
            200: (None, "IETF draft: the upload is complete."),
            201: (None, "The upload is at `Location`; its first `Upload-Offset` bytes are durable."),
        },
        api=UPLOADS,
        refused=_CREATE,
        codes=(_OF_TUS, _OF_CREATION, OF_CONDITIONS, codes),
        content={CONTENT_TYPE: _BYTES, "*/*": _BYTES},
        needs_content=False,
        parameters=(
            _TUS,
            _COMPLETE,
            _LENGTH,
            field("Upload-Defer-Length", {"enum": ["1"]}, "tus: the length comes later."),
            _METADATA,
            _ATTACH_TO,
        ),
        fields=("Location", "Upload-Offset", "Upload-Expires"),
        description="The fields of the request decide which protocol the client speaks: `Tus-Resumable` tus 1.0.0, else "
        "`Upload-Complete` the IETF draft for resumable uploads.",
    )


TRANSFER_PATHS: dict[str, Schema] = {
    "/files": {
        "parameters": [COMMUNITY_QUERY],
        "post": _creation("createUpload", "Create an upload, with its first content if the client sends it along.", {}),
        "put": _creation("putUpload", "Create an upload by the IETF draft.", {405: ("method_not_allowed",)}),
        "options": operation(
            "discover",
            "Ask for protocols, extensions and limits.",
            {204: (None, "`Tus-Version`, `Tus-Extension`, `Tus-Max-Size` for tus; `Upload-Limit` for the IETF draft.")},
            api=UPLOADS,
            fields=("Tus-Version", "Tus-Extension", "Tus-Max-Size", "Upload-Limit", "Allow"),
        ),
    },
    "/files/{key}": {
        "parameters": [KEY, COMMUNITY_QUERY],
        "head": operation(
            "getOffset",
            "Ask how far an upload is; ends an append that is under way.",
            {
                **{status: (None, meaning) for status, (_, meaning) in _DOWNLOAD.items()},
                200: (
                    None,
                    "tus: `Upload-Offset`, `Upload-Length`; without a protocol also what is known of the content.",
                ),
                204: (None, "IETF draft: `Upload-Offset`, `Upload-Length`, `Upload-Complete`."),
            },
            api=UPLOADS,
            refused=_FINISH,
            codes=(_OF_TUS, _OF_DOWNLOAD, {400: ("unexpected_field",), 423: ("store_failed",)}),
            parameters=(_TUS,),
            fields=("Upload-Offset", "Upload-Length", "Upload-Complete", "Upload-Metadata", "Upload-Expires"),
            has_answer=False,
        ),
        "get": operation(
            "download",
            "Download the content of a complete upload, whole or a range.",
            _DOWNLOAD,
            api=UPLOADS,
            refused=_OVER,
            codes=(_OF_DOWNLOAD,),
            parameters=_RANGES,
            fields=_DESCRIBED,
        ),
        "patch": operation(
            "append",
            "Append content.",
            {
                200: (None, "IETF draft: the upload is complete."),
                201: (None, "IETF draft: the content is durable; more is awaited."),
                204: (None, "The content is durable up to `Upload-Offset`."),
            },
            api=UPLOADS,
            refused=_APPEND,
            codes=(_OF_TUS, _OF_APPEND),
            content={CONTENT_TYPE: _BYTES, "application/partial-upload": _BYTES},
            needs_content=False,
            parameters=(_TUS, _COMPLETE, field("Upload-Offset", COUNT, "Where this content begins."), _LENGTH),
            fields=("Upload-Offset", "Upload-Expires"),
        ),
        "delete": operation(
            "cancelUpload",
            "Cancel an upload, or delete an attachment that is in no slot.",
            {204: (None, "It is gone.")},
            api=UPLOADS,
            refused=(*_OVER, errors.UploadAttached, errors.Evicted, errors.OutOfSpace),
            codes=(_OF_TUS,),
            parameters=(_TUS,),
        ),
    },
    "/.api2/binaries/{key}/download/{name}": {
        "parameters": [KEY, _NAME, COMMUNITY_QUERY],
        "get": operation(
            "downloadBinary",
            "Download an attachment, whole or a range.",
            _DOWNLOAD,
            api=ATTACHMENTS,
            refused=GONE,
            codes=(_OF_DOWNLOAD,),
            parameters=_RANGES,
            fields=_DESCRIBED,
        ),
    },
    "/.api2/binaries/{key}/thumbnails/{name}": {
        "parameters": [KEY, _NAME, COMMUNITY_QUERY, *_SIZES, _CROP],
        "get": _picture("getThumbnail", "Show an image in the size that is asked for.", _SHOWN, codes=_OF_PICTURE),
    },
    "/avatars/{tenant}/{size}/{key}/{name}": {
        "parameters": [path("tenant"), path("size", r"^(original|[1-9][0-9]{0,3})$"), KEY, path("name")],
        "get": _picture(
            "getAvatar",
            "Show a picture of a slot; what is at this URL never changes.",
            _SHOWN,
            codes={**_OF_PICTURE, 400: (), 404: ("picture_not_found", "upload_incomplete", "no_thumbnail")},
        ),
    },
    "/avatars/static/{size}/default.png": {
        "parameters": [path("size", "^[1-9][0-9]{0,3}$", "Pixels.")],
        "get": _picture(
            "getDefaultPicture",
            "Show the picture of what has none.",
            _SHOWN,
            codes={404: ("picture_not_found",), 503: ("answers_waiting",)},
        ),
    },
    "/.api2/api/v1/communities/{community}/previews/thumbnails/{object}": {
        "parameters": [COMMUNITY, path("object", IDENTIFIER, "The GUID of a user."), *_SIZES, _CROP],
        "get": _picture(
            "getPreview",
            "Lead to the current photo of a user.",
            _LEADS,
            codes={**_OF_PICTURE, 400: (*_OF_PICTURE[400], "id_invalid", "object_id_invalid")},
            is_stable=True,
        ),
    },
    "/api/v1/objects/{kind}/{id}/slots/{slot}/picture": {
        "parameters": [KIND, ID, SLOT, COMMUNITY_QUERY, *_SIZES, _CROP],
        "get": _picture(
            "getPicture",
            "Lead to the current picture of a slot.",
            _LEADS,
            api=NATIVE,
            codes={**_OF_PICTURE, 400: (*OF_SLOT[400], *_OF_PICTURE[400])},
            is_stable=True,
        ),
    },
    "/healthz": {
        "get": operation(
            "isAlive",
            "Ask whether the process lives.",
            {200: ({"application/json": {"schema": _STATUS, "example": {"status": "ok"}}}, "It does.")},
            api=OPERATIONS,
        ),
    },
    "/readyz": {
        "get": operation(
            "isReady",
            "Ask whether every store can be written to.",
            {200: (_stores("ok"), "Each can."), 503: (_stores("failed"), "One at least cannot.")},
            api=OPERATIONS,
        ),
    },
    "/openapi.json": {
        "get": operation(
            "describe",
            "Read this description.",
            {200: ({"application/json": {"schema": {"type": "object"}}}, "This document.")},
            api=OPERATIONS,
        ),
    },
}
