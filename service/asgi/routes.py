"""
Which URL speaks which dialect: one table.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse
from starlette.responses import Response as StarletteResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from holdfast.service.asgi.answered import Answered, unasked
from holdfast.service.asgi.driver import Driver
from holdfast.service.asgi.files import Files, key_of
from holdfast.service.asgi.serving.download import download
from holdfast.service.asgi.serving.health import Health
from holdfast.service.asgi.serving.pictures import PictureResponses, Shown
from holdfast.service.core.policies import GROUP_AVATAR, ORG_GROUP_PICTURE, PROFILE_PHOTO, Policies
from holdfast.service.protocols.attachments_api.associations import Association, AttachmentsOfObject
from holdfast.service.protocols.attachments_api.uploads import ContentRange
from holdfast.service.protocols.attachments_api.view import AttachmentView
from holdfast.service.protocols.http.wire import FiledDialect, PictureDialect, ProtocolError, Request, Response, UploadDialect
from holdfast.service.protocols.native import resource as native
from holdfast.service.protocols.native.attachments import Attachment, Events, Links, Timeline
from holdfast.service.protocols.native.objects import Object, ObjectList, Slot, SlotEntry, SlotUndo
from holdfast.service.protocols.native.resource import Resource, object_id
from holdfast.service.protocols.one_shot.group_avatar import GroupAvatar
from holdfast.service.protocols.one_shot.group_picture import GroupPicture
from holdfast.service.protocols.openapi import description as openapi
from holdfast.storage.records import SlotRef, Tenant

MAX_COMMUNITY_DIGITS = 18


class Attachments:
    """
    The entries of the attachments API, and their associations; each community is a tenant.
    """

    def __init__(self, driver: Driver, dialect: ContentRange) -> None:
        self._driver = driver
        self._dialect = dialect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        driver, community, key = self._driver, scope["path_params"]["community"], key_of(scope)
        is_key = _is_community_key(community)
        request = driver.request(scope, tenant=Tenant(community if is_key else "0"), key=key, tenant_named=is_key)
        if not is_key:
            answered: UploadDialect = Answered(self._dialect.reject(request, _community_key_invalid()), self._dialect)
            await driver.exchange(answered, driver.perform, request, scope, receive, send, keyed=False)
        elif "object" in scope["path_params"]:
            object_id = scope["path_params"]["object"].removesuffix("/")
            which = Association if key is not None else AttachmentsOfObject
            association: FiledDialect = which(self._dialect, object_id)
            await driver.exchange(association, driver.perform_filed, request, scope, receive, send, keyed=key is not None)
        else:
            dialect: UploadDialect = self._dialect
            await driver.exchange(dialect, driver.perform, request, scope, receive, send, keyed=key is not None)


class Views:
    """
    Attachments as the older Igloo API tells them; its URLs name no community.
    """

    def __init__(self, driver: Driver, dialect: ContentRange, tenant: Tenant) -> None:
        self._driver = driver
        self._dialect: FiledDialect = AttachmentView(dialect)
        self._tenant = tenant

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = _request(self._driver, scope, self._tenant, key_of(scope))
        keyed = request.method != "OPTIONS"
        await self._driver.exchange(self._dialect, self._driver.perform_filed, request, scope, receive, send, keyed=keyed)


class Native:
    """
    One kind of URLs of the native JSON API.
    """

    def __init__(self, driver: Driver, tenant: Tenant, resource: type[Resource]) -> None:
        self._driver = driver
        self._tenant = tenant
        self._resource = resource

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        driver = self._driver
        request = _request(driver, scope, self._tenant)
        dialect: FiledDialect = self._resource(scope["path_params"])
        await driver.exchange(dialect, driver.perform_filed, request, scope, receive, send, keyed=False)


class GroupPictures:
    """
    Pictures that come in one request: avatars of groups (Symphony) and pictures of organizations' groups (Ellipsis).
    """

    def __init__(self, driver: Driver, tenant: Tenant, dialect: Callable[[str], PictureDialect], member: str) -> None:
        self._driver = driver
        self._tenant = tenant
        self._dialect = dialect
        self._perform = functools.partial(driver.perform_picture, member=member)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = self._driver.request(scope, tenant=self._tenant, key=None, tenant_named=False)
        dialect = self._dialect(scope["path_params"]["group"])
        await self._driver.exchange(dialect, self._perform, request, scope, receive, send, keyed=False)


class Pictures:
    """
    Images to be shown, under URLs that never change and under some that lead there.
    """

    def __init__(self, driver: Driver, picture_responses: PictureResponses, dialect: ContentRange, tenant: Tenant) -> None:
        self._driver = driver
        self._picture_responses = picture_responses
        self._dialect = dialect
        self._tenant = tenant
        self._shown = Shown(driver, dialect.reject)
        self._native = Shown(driver, native.reject)

    async def thumbnail(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for an attachment of any size."""
        request = _request(self._driver, scope, self._tenant, scope["path_params"]["key"])
        response = await self._shown.answer(request, scope, self._picture_responses.thumbnail)
        await self._send(response, request, scope, receive, send)

    async def avatar(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for a picture that never changes."""
        names = scope["path_params"]
        request = self._driver.request(scope, tenant=Tenant(names["tenant"]), key=names["key"])
        show = functools.partial(self._picture_responses.avatar, size=names["size"], name=names["name"])
        await self._send(await self._shown.answer(request, scope, show), request, scope, receive, send)

    async def default(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for those who have no picture."""
        request = self._driver.request(scope, tenant=self._tenant, key=None)
        show = functools.partial(self._picture_responses.default, size=scope["path_params"]["size"])
        await self._send(await self._shown.answer(request, scope, show, is_public=True), request, scope, receive, send)

    async def preview(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for the photo of a user, whichever that is now."""
        names = scope["path_params"]
        is_key = _is_community_key(names["community"])
        request = self._driver.request(scope, tenant=Tenant(names["community"] if is_key else "0"), key=None, tenant_named=is_key)
        if is_key:
            response = await self._current(self._shown, request, PROFILE_PHOTO.kind, names["object"], PROFILE_PHOTO.slot, scope)
        else:
            response = await self._shown.answer(request, scope, _refuse_community)
        await self._send(response, request, scope, receive, send)

    async def current(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for the picture in any slot, whichever that is now."""
        names = scope["path_params"]
        request = _request(self._driver, scope, self._tenant)
        response = await self._current(self._native, request, names["kind"], names["id"], names["slot"], scope)
        await self._send(response, request, scope, receive, send)

    async def _current(self, shown: Shown, request: Request, kind: str, name: str, slot: str, scope: Scope) -> Response:
        async def show(admitted: Request) -> Response:
            ref = SlotRef(tenant=admitted.tenant, kind=kind, id=object_id(name), slot=slot)
            return await self._picture_responses.current(admitted, ref)

        return await shown.answer(request, scope, show)

    async def _send(self, response: Response, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        answered = Answered(response, self._dialect)
        await self._driver.exchange(answered, self._driver.perform, unasked(request), scope, receive, send, keyed=False)


class Binaries:
    """
    Downloads under the URLs that the attachments API tells; the file name at the end is for show.
    """

    def __init__(self, driver: Driver, picture_responses: PictureResponses, dialect: UploadDialect, tenant: Tenant) -> None:
        self._driver = driver
        self._sanitised = picture_responses.sanitised
        self._dialect = dialect
        self._tenant = tenant

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = _request(self._driver, scope, self._tenant, scope["path_params"]["key"])
        if request.method not in ("GET", "HEAD"):
            error = ProtocolError(405, "method_not_allowed", "binaries are only read", (("Allow", "GET, HEAD"),))
            refusal: Response | None = self._dialect.reject(request, error)
        else:
            refusal = await download(self._driver, self._dialect, self._sanitised, request, scope, receive, send)
            request = unasked(request)
        if refusal is not None:
            answered = Answered(refusal, self._dialect)
            await self._driver.exchange(answered, self._driver.perform, request, scope, receive, send, keyed=False)


NATIVE: dict[str, type[Resource]] = {
    "/api/v1/attachments/{key}": Attachment,
    "/api/v1/attachments/{key}/events": Timeline,
    "/api/v1/attachments/{key}/links": Links,
    "/api/v1/events": Events,
    "/api/v1/objects/{kind}": ObjectList,
    "/api/v1/objects/{kind}/{id}": Object,
    "/api/v1/objects/{kind}/{id}/slots/{slot}": Slot,
    "/api/v1/objects/{kind}/{id}/slots/{slot}/attachments/{key}": SlotEntry,
    "/api/v1/objects/{kind}/{id}/slots/{slot}/undo": SlotUndo,
}
COMMUNITY = "/.api2/api/v1/communities/{community}"


def routes(
    driver: Driver,
    uploads: Files,
    health: Health,
    picture_responses: PictureResponses,
    policies: Policies,
    tenant: Tenant,
    *,
    strict_originator: bool,
) -> list[Route]:
    """
    Return the table; a slash at the end makes no difference.
    """
    dialect = ContentRange(tenant, policies.kinds())
    attachments, binaries = Attachments(driver, dialect), Binaries(driver, picture_responses, dialect, tenant)
    pictures, views = Pictures(driver, picture_responses, dialect, tenant), Views(driver, dialect, tenant)

    def symphony(*, is_avatar: bool) -> GroupPictures:
        policy = policies.same(GROUP_AVATAR)
        avatar = functools.partial(GroupAvatar, policy=policy, is_avatar=is_avatar, strict=strict_originator)
        return GroupPictures(driver, tenant, avatar, "image")

    group_picture = functools.partial(GroupPicture, policy=policies.same(ORG_GROUP_PICTURE))
    ellipsis = GroupPictures(driver, tenant, group_picture, "picture")
    # A key is whatever stands there: what cannot be one is refused in the words of the dialect, not by the router.
    table: dict[str, ASGIApp] = {
        "/files": uploads,
        "/files/": uploads,
        "/files/{key:path}": uploads,
        f"{COMMUNITY}/attachments": attachments,
        f"{COMMUNITY}/attachments/": attachments,
        f"{COMMUNITY}/attachments/uploads/{{key:path}}": attachments,
        f"{COMMUNITY}/attachments/{{key}}/association/{{object:path}}": attachments,
        f"{COMMUNITY}/objects/{{object}}/attachments": attachments,
        f"{COMMUNITY}/previews/thumbnails/{{object}}": Endpoint(pictures.preview),
        # The known client joins a base that ends with a slash and a path that begins with one.
        "/.api/api.svc//attachments/{key}/view": views,
        "/.api/api.svc/attachments/{key}/view": views,
        "/.api2/binaries/{key}/download/{name:path}": binaries,
        "/.api2/binaries/{key}/thumbnails/{name:path}": Endpoint(pictures.thumbnail),
        "/avatars/static/{size}/default.png": Endpoint(pictures.default),
        "/avatars/{tenant}/{size}/{key}/{name}": Endpoint(pictures.avatar),
        "/profile-manager/v1/groups/{group}": symphony(is_avatar=False),
        "/profile-manager/v1/groups/{group}/avatar": symphony(is_avatar=True),
        "/organization/group/{group}/profile": ellipsis,
        "/v3/organization/group/{group}/profile": ellipsis,
        "/api/v1/objects/{kind}/{id}/slots/{slot}/picture": Endpoint(pictures.current),
        **{path: Native(driver, tenant, resource) for path, resource in NATIVE.items()},
    }
    all_methods = [Route(path, endpoint) for path, endpoint in table.items()]
    described = Route("/openapi.json", openapi_document)
    return [*all_methods, described, Route("/healthz", health.alive), Route("/readyz", health.ready)]


class Endpoint:
    """A method of an object as an ASGI application, which Starlette would take for a view of another signature."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._application(scope, receive, send)


async def openapi_document(_request: StarletteRequest) -> StarletteResponse:
    """
    Answer with the description of every route in JSON.
    """
    return JSONResponse(openapi.DOCUMENT, headers={"Cache-Control": "no-cache"})


# What is said of URLs that no dialect has, by status.
NOBODYS = {
    404: ("not_found", "there is nothing at this URL; but for those of uploads, no URL ends with a slash"),
    405: ("method_not_allowed", "this is only read"),
}


async def not_found(_request: StarletteRequest, error: Exception) -> StarletteResponse:
    """
    Answer for URLs that nobody speaks at (RFC 9457).
    """
    status = error.status_code if isinstance(error, HTTPException) else 500
    code, detail = NOBODYS.get(status, ("internal_error", "something went wrong on our side"))
    document = {"type": "about:blank", "title": code, "status": status, "detail": detail}
    headers = error.headers if isinstance(error, HTTPException) else None
    return JSONResponse(document, status, headers, media_type="application/problem+json")


def _request(driver: Driver, scope: Scope, default: Tenant, key: str | None = None) -> Request:
    """Return the head of a request whose URL names the tenant in its query, if it does."""
    community = QueryParams(scope["query_string"]).get("communityKey")
    tenant = default if community is None else Tenant(community)
    return driver.request(scope, tenant=tenant, key=key, tenant_named=community is not None)


def _community_key_invalid() -> ProtocolError:
    return ProtocolError(400, "community_key_invalid", "communityKey has to be an integer")


async def _refuse_community(_request: Request) -> Response:
    raise _community_key_invalid()


def _is_community_key(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= MAX_COMMUNITY_DIGITS and str(int(text)) == text
