"""Describes one operation: parameters, content, responses, and the errors in the tables of its dialect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from holdfast.service.core import errors, names
from holdfast.service.core.errors import UploadError
from holdfast.service.protocols.attachments_api import uploads as content_range
from holdfast.service.protocols.http.wire import Refusal
from holdfast.service.protocols.native import resource as native
from holdfast.service.protocols.one_shot import group_avatar, group_picture
from holdfast.service.protocols.openapi.examples import EXAMPLES
from holdfast.service.protocols.openapi.schemas import COUNT, TEXT, Schema, ref_of
from holdfast.service.protocols.uploads import resumable, tus

Codes = Mapping[int, tuple[str, ...]]
"""By status, codes of refusals."""
Success = Mapping[int, tuple[str | Schema | None, str]]
"""By status, the content (the name of its schema, or schemas by media type; None without content), and what it means."""

GUID = "^\\{?[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}\\}?$"
IDENTIFIER = f"^{names.ID}$"
COMMUNITY_KEY = "^(0|[1-9][0-9]{0,17})$"


def path(name: str, pattern: str | None = None, description: str | None = None) -> Schema:
    """Return a part of a path."""
    schema: Schema = {"type": "string"} if pattern is None else {"type": "string", "pattern": pattern}
    return _named({"name": name, "in": "path", "required": True, "schema": schema}, description)


def query(name: str, schema: Schema, description: str | None = None, *, required: bool = False) -> Schema:
    """Return a parameter of a query."""
    return _named({"name": name, "in": "query", "required": required, "schema": schema}, description)


def field(name: str, schema: Schema, description: str | None = None, *, required: bool = False) -> Schema:
    """Return a field of a request."""
    return _named({"name": name, "in": "header", "required": required, "schema": schema}, description)


def _named(parameter: Schema, description: str | None) -> Schema:
    return parameter if description is None else {**parameter, "description": description}


_TAG = '(W/)?"[!#-~]*"'
_TAGS: Schema = {"type": "string", "pattern": rf"^({_TAG}(, {_TAG})*|\*)$"}
CONDITIONS = (
    field("If-Match", _TAGS, "The change is made only if the current ETag is one of these; `*`: only if the target exists."),
    field(
        "If-None-Match", _TAGS, "`*`: only if the target does not exist yet: the object is unknown, or the slot was never used."
    ),
)
PAGES = (
    query("after", {"type": "string", "maxLength": native.MAX_CURSOR}, "The `next` of an earlier page."),
    query("limit", {"type": "integer", "minimum": 1, "maximum": native.MAX_PAGE, "default": native.DEFAULT_PAGE}),
)
FILTERS_OF_ONE = (
    query("type", {"type": "string", "pattern": r"^[a-z_]{1,32}\.[a-z_]{1,32}$"}, "Only events of this type."),
    query(
        "object",
        {"type": "string", "pattern": r"^[a-z][a-z0-9_]{0,63}/[^/]+$"},
        "Only of this object: KIND/ID.",
    ),
    query("actor", {"type": "string", "minLength": 1, "maxLength": 255}, "Only events of this account."),
)
FILTERS = (*FILTERS_OF_ONE, query("attachment", {"type": "string", "pattern": "^[0-9A-Za-z]{10}$"}, "Only of this attachment."))
COMMUNITY_QUERY = query(
    "communityKey",
    {"type": "string", "pattern": COMMUNITY_KEY},
    "The tenant; if missing, the tenant of the token, or the default.",
)
KIND = path("kind", f"^{names.KIND}$", "Lower-case letters, digits and _.")
ID = path("id", IDENTIFIER, "The id of the object in its own system; a GUID may be in any case, with or without braces.")
SLOT = path("slot", f"^{names.SLOT}$", "The name of a slot that objects of this kind have.")
KEY = path("key", "^[0-9A-Za-z]{10}$", "The key of an upload, and of the attachment that it becomes.")
COMMUNITY = path("community", COMMUNITY_KEY, "The community key: the tenant.")

# Codes of errors in requests.
OF_DOCUMENT: Codes = {
    400: ("invalid_document",),
    408: ("document_cut",),
    413: ("document_too_large",),
    415: ("unsupported_media_type",),
}
OF_MEMBERS: Codes = {400: ("member_unknown",)}
OF_OBJECT: Codes = {400: ("kind_invalid", "id_invalid")}
OF_SLOT: Codes = {400: ("kind_invalid", "id_invalid", "slot_invalid")}
OF_CONDITIONS: Codes = {400: ("if_match_invalid",)}
OF_PAGES: Codes = {400: ("limit_invalid", "cursor_invalid", "parameter_unknown")}
OF_FILTERS: Codes = {400: ("filter_invalid",)}
OF_TYPE: Codes = {400: ("type_required", "type_unknown", "object_id_invalid", "repeated_value")}

_ANYWHERE: Codes = {
    400: ("host_invalid", "query_invalid", "repeated_value"),
    401: ("token_missing", "token_invalid", "token_expired"),
    414: ("path_too_long",),
    431: ("head_too_large",),
    503: ("accounts_unavailable",),
}

# Errors of uploads and slots.
GONE = (errors.UploadGone, errors.ContentRejected)
CHANGE = (
    errors.ObjectNotFound,
    errors.SlotUnknown,
    errors.SlotChanged,
    errors.SlotBusy,
    errors.ManagedElsewhere,
    errors.OutOfSpace,
)
FIT = (errors.TooLarge, errors.NotAccepted, errors.ImageInvalid, errors.ImageTooLarge)
ATTACH = (*CHANGE, *GONE, *FIT, errors.UploadIncomplete, errors.SlotFull)
FINISH = (*GONE, *CHANGE, errors.Evicted, errors.FinishFailed, errors.SlotFull)


def _shown(shape: str) -> Schema:
    """Return a schema by its name, with an example."""
    return {"schema": ref_of(shape), "example": EXAMPLES[shape]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """One API: its tag and its error responses."""

    tag: str
    summary: str
    """What the tag is about."""
    refusals: tuple[Mapping[type[UploadError], Refusal], ...]
    content: Schema
    always: tuple[type[UploadError], ...] = (errors.UploadNotFound, errors.Forbidden, errors.StoreFailed)
    codes: Codes
    """Codes of errors that any request can get."""


NATIVE = Api(
    tag="native JSON",
    summary="Objects, slots, attachments, links and events.",
    refusals=(native.REFUSALS,),
    content={"application/problem+json": _shown("Problem")},
    codes=_ANYWHERE,
)
ATTACHMENTS = Api(
    tag="attachments API",
    summary="Uploads, associations, downloads and pictures as the Igloo API has them.",
    refusals=(content_range.REFUSALS,),
    content={"application/json": _shown("Refusal")},
    codes={**_ANYWHERE, 400: (*_ANYWHERE[400], "community_key_invalid")},
)
SYMPHONY = Api(
    tag="group avatar",
    summary="Avatars of groups, as the Symphony profile manager takes them.",
    refusals=(group_avatar.REFUSALS,),
    content={"application/json": _shown("Refusal")},
    codes={
        400: (*_ANYWHERE[400], "path_too_long", "head_too_large", "x_symphony_host_required", "x_symphony_host_invalid"),
        401: _ANYWHERE[401],
        429: ("overloaded",),
    },
)
ELLIPSIS = Api(
    tag="group picture",
    summary="Pictures of organizations' groups, as Ellipsis Drive takes them.",
    refusals=(group_picture.REFUSALS,),
    content={"text/plain": {"schema": TEXT}},
    codes=_ANYWHERE,
)

UPLOADS = Api(
    tag="uploads",
    summary="Resumable uploads by tus 1.0.0 and by the IETF draft, and downloads.",
    refusals=(tus.REFUSALS, resumable.REFUSALS),
    content={
        "text/plain": {"schema": TEXT, "example": "upload_not_found: there is no such upload"},
        "application/problem+json": {"schema": {"type": "object"}, "example": EXAMPLES["Problem"]},
    },
    codes={**_ANYWHERE, 400: (*_ANYWHERE[400], "override_not_allowed")},
)
OPERATIONS = Api(tag="operations", summary="For operators and for tools.", refusals=(), content={}, always=(), codes={})
APIS = (UPLOADS, NATIVE, ATTACHMENTS, SYMPHONY, ELLIPSIS, OPERATIONS)


def operation(
    name: str,
    summary: str,
    success: Success,
    *,
    api: Api = NATIVE,
    refused: tuple[type[UploadError], ...] = (),
    codes: tuple[Codes, ...] = (),
    content: Schema | None = None,
    needs_content: bool = True,
    parameters: tuple[Schema, ...] = (),
    fields: tuple[str, ...] = (),
    description: str | None = None,
    has_answer: bool = True,
) -> Schema:
    """
    Return the description of one method of one path.

    *success*: by status, the content and the meaning.  *content*: schemas of the request by media type.  *fields*: names of
    fields in the response.  Without *has_answer* no response has content (HEAD).
    """
    answers = _refusals(api, (*api.always, *refused), (api.codes, *codes))
    if not has_answer:
        answers = {status: {"description": answer["description"]} for status, answer in answers.items()}
    for status, (shape, meaning) in success.items():
        answer: Schema = {"description": meaning}
        if shape is not None:
            answer["content"] = {"application/json": _shown(shape)} if isinstance(shape, str) else shape
        if fields:
            answer["headers"] = {each: {"schema": COUNT if each == "Upload-Offset" else TEXT} for each in fields}
        answers[str(status)] = answer
    described: Schema = {"operationId": name, "tags": [api.tag], "summary": summary, "responses": dict(sorted(answers.items()))}
    if description is not None:
        described["description"] = description
    if parameters:
        described["parameters"] = list(parameters)
    if content is not None:
        examples = {"example": EXAMPLES[name]} if name in EXAMPLES else {}
        bodies = {kind: {"schema": schema, **examples} for kind, schema in content.items()}
        described["requestBody"] = {"required": needs_content, "content": bodies}
    return described


def _refusals(api: Api, refused: tuple[type[UploadError], ...], codes: tuple[Codes, ...]) -> Schema:
    """Return a response for each status: its codes, with the docstring of the error."""
    sentences: dict[int, dict[str, str]] = {}
    for of_request in codes:
        for status, of_status in of_request.items():
            sentences.setdefault(status, {}).update(dict.fromkeys(of_status, ""))
    for kind in refused:
        sentence = (kind.__doc__ or "").partition("\n")[0]
        for table in api.refusals:
            refusal = next(table[each] for each in kind.__mro__ if each in table)
            by_code = sentences.setdefault(refusal.status, {})
            known = by_code.get(refusal.code, "")
            by_code[refusal.code] = known if sentence in known else " ".join(filter(None, (known, sentence)))
    return {
        str(status): {
            "description": "\n".join(f"- `{code}`{': ' * bool(sentence)}{sentence}" for code, sentence in by_code.items()),
            "content": api.content,
        }
        for status, by_code in sentences.items()
    }
