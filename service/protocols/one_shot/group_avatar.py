"""
The group avatar of the Symphony profile manager: a request with an image in base64; the response is the whole group.

Its specification declares the statuses 200, 400, 401, 403, 404 and 429.  Clients retry after a 429, so faults of the server are
one too.
"""

from __future__ import annotations

import json
from typing import Any

from holdfast.service.core import errors
from holdfast.service.core.commands import GetObject, ObjectOutcome, PictureCommand, SetPicture
from holdfast.service.core.errors import UploadError
from holdfast.service.core.names import object_id
from holdfast.service.core.policies import Policy
from holdfast.service.protocols.http.fields import media_type_is
from holdfast.service.protocols.http.picture_urls import ORIGINAL, avatar_url
from holdfast.service.protocols.http.wire import (
    RETRY_AFTER,
    Fields,
    ProtocolError,
    Refusal,
    Request,
    Response,
    condition_of,
    refusal_of,
    to_json,
)
from holdfast.service.protocols.native.resource import moment
from holdfast.storage.objects import ObjectRecord, SlotRecord
from holdfast.storage.records import ObjectRef, SlotRef, Tenant

MAX_ORIGINATOR = 255  # characters
ENTITLEMENT_NOT_FOUND = "SYMPHONY_PROFILE_MANAGER__ENTITLEMENT_NOT_FOUND"
OVERLOADED = ("Retry-After", RETRY_AFTER)

REFUSALS: dict[type[UploadError], Refusal] = {
    errors.Forbidden: Refusal(403, ENTITLEMENT_NOT_FOUND),
    errors.ObjectNotFound: Refusal(404, "group_not_found"),
    errors.UploadNotFound: Refusal(404, "group_not_found"),
    errors.SlotChanged: Refusal(412, "group_changed"),
    errors.NotAccepted: Refusal(400, "unsupported_image"),
    errors.ImageInvalid: Refusal(400, "image_invalid"),
    errors.ImageTooLarge: Refusal(400, "image_too_large"),
    errors.TooLarge: Refusal(400, "image_too_large"),
    errors.ContentRejected: Refusal(400, "unsupported_image"),
    errors.ContentCut: Refusal(400, "document_cut"),
    errors.ManagedElsewhere: Refusal(403, "managed_externally"),
    errors.SlotUnknown: Refusal(404, "group_not_found"),
    errors.UploadError: Refusal(429, "overloaded", (OVERLOADED,)),
}
# "image" is optional and not nullable in the specification: null counts as missing.
NULL, MISSING = "image_null", "image_required"
DECLARED = frozenset({400, 401, 403, 404, 405, 412, 429})

# Members of a group in the specification's response; unknown texts are null, unknown lists are empty.
RESTRICTIONS = {
    "visibilityRestriction": ("restrictedTenantsList", "restrictedUsersList"),
    "implicitConnection": ("connectedTenantsList", "connectedUsersList"),
    "interactionTransfer": ("restrictedTenantsList", "restrictedUsersList"),
}
PROFILE = ("companyName", "email", "mobile", "jobTitle", "jobRole", "jobDepartment", "jobDivision", "jobPhone", "jobCity")
PROFILE_LISTS = (
    "industryOfInterest",
    "assetClassesOfInterest",
    "marketCoverage",
    "responsibility",
    "function",
    "instrument",
)


class GroupAvatar:
    """
    The dialect of ``/profile-manager/v1/groups/{groupId}`` and ``…/avatar``.

    *strict*: whether to refuse an empty ``X-Symphony-Host``.  "minLength: 1", but the official client sends it empty.
    """

    def __init__(self, group: str, *, policy: Policy, is_avatar: bool, strict: bool) -> None:
        self._group = object_id(group)
        self._policy = policy
        self._method = "POST" if is_avatar else "GET"
        self._strict = strict

    def document_limit(self, _request: Request) -> int:
        return 0

    def receive(self, request: Request) -> PictureCommand | Response:
        allow = ("Allow", f"{self._method}, OPTIONS")
        if request.method == "OPTIONS":
            return Response(status=204, fields=(allow,))
        if request.method != self._method:
            raise ProtocolError(405, "method_not_allowed", f"this URL does not support {request.method}", (allow,))
        host = request.fields.get("x-symphony-host")
        if host is None or (self._strict and not host):
            raise ProtocolError(400, "x_symphony_host_required", "X-Symphony-Host is missing")
        if len(host) > MAX_ORIGINATOR or not host.isprintable():
            raise ProtocolError(400, "x_symphony_host_invalid", "X-Symphony-Host has to be the name of a host")
        if self._group is None:
            raise errors.ObjectNotFound("there is no such group")
        if self._method == "GET":
            return GetObject(ref=ObjectRef(tenant=request.tenant, kind=self._policy.kind, id=self._group))
        if not media_type_is(request.fields, "application/json"):
            raise ProtocolError(400, "unsupported_media_type", "send application/json")
        slot = SlotRef(tenant=request.tenant, kind=self._policy.kind, id=self._group, slot=self._policy.slot)
        return SetPicture(slot=slot, condition=condition_of(request.fields), originator=host or None)

    def admit(self, group: ObjectRecord) -> None:
        _refuse_deleted(group)
        # "profile … only works with SDL"
        if json.loads(group.attributes).get("type", "SDL") != "SDL":
            raise ProtocolError(400, "group_type_invalid", "only groups of type SDL have a profile")

    def send(self, request: Request, command: PictureCommand, outcome: ObjectOutcome) -> Response:
        if isinstance(command, GetObject):
            _refuse_deleted(outcome.record)
        document = _group(outcome.record, outcome.slots, self._policy, request.prefix)
        fields = (("ETag", f'"{outcome.record.etag}"'), ("Content-Type", "application/json"), ("Cache-Control", "no-store"))
        return Response(status=200, fields=fields, content=to_json(document))

    def reject(self, _request: Request, error: ProtocolError | UploadError) -> Response:
        if isinstance(error, ProtocolError):
            code = MISSING if error.code == NULL else error.code
            status = error.status if error.status in DECLARED else 400
            if error.status >= 500:  # noqa: PLR2004 - clients retry faults of the server
                return _error(429, "overloaded", str(error), (OVERLOADED,))
            return _error(status, code, str(error), error.fields)
        if isinstance(error, errors.ContentRejected) and error.why is not None:
            error = error.why
        refusal = refusal_of(REFUSALS, error)
        code = refusal.code
        if isinstance(error, errors.Forbidden) and error.entitlement is None:
            code = "forbidden"
        return _error(refusal.status, code, str(error), refusal.fields)


def _refuse_deleted(group: ObjectRecord) -> None:
    if json.loads(group.attributes).get("status") == "DELETED":
        raise errors.ObjectNotFound("there is no such group")


def _group(record: ObjectRecord, slots: tuple[SlotRecord, ...], policy: Policy, prefix: str) -> dict[str, Any]:
    """Return the group: the attributes from its own system, overlaid with what this service knows."""
    attributes = json.loads(record.attributes)
    key = next((slot.active[0].attachment for slot in slots if slot.slot == policy.slot and slot.active), None)
    avatars = [] if key is None else [
        {"size": size, "url": prefix + avatar_url(record.tenant, key, size)} for size in (ORIGINAL, *map(str, policy.renditions))
    ]  # fmt: skip
    return {
        "type": "SDL",
        "ownerType": "TENANT",
        "ownerId": _number(record.tenant),
        "name": record.id,
        "createdDate": moment(record.created_at),
        "createdBy": None,
        "status": "ACTIVE",
        "members": [],
        **attributes,
        **{member: {**dict.fromkeys(lists, ()), **_object(attributes.get(member))} for member, lists in RESTRICTIONS.items()},
        "id": record.id,
        "updatedDate": moment(record.updated_at),
        "updatedBy": record.updated_by or attributes.get("updatedBy"),
        "eTag": record.etag,
        "profile": {
            **dict.fromkeys(PROFILE),
            **dict.fromkeys(PROFILE_LISTS, ()),
            "displayName": attributes.get("name", record.id),
            "id": record.id,
            **_object(attributes.get("profile")),
            "avatars": avatars,
        },
    }


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(tenant: Tenant) -> int | str:
    return int(tenant) if tenant.isascii() and tenant.isdecimal() else tenant


def _error(status: int, code: str, message: str, fields: Fields = ()) -> Response:
    kind = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))
    return Response(status=status, fields=(*fields, *kind), content=to_json({"code": code, "message": message}))
