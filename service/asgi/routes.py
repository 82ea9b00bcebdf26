"""The table of URLs and the dialects that they use."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from starlette.routing import Route
from starlette.types import Scope

from holdfast.service.asgi.driver import Driver
from holdfast.service.asgi.endpoints.attachments_api import AttachmentsApi, Binaries, Views
from holdfast.service.asgi.endpoints.documents import GroupPictures, Native
from holdfast.service.asgi.endpoints.files import Files
from holdfast.service.asgi.endpoints.pictures import Picture
from holdfast.service.asgi.receiving.room import DocumentRoom
from holdfast.service.asgi.requests import community_of, queried_tenant
from holdfast.service.asgi.serving.download import Downloads
from holdfast.service.asgi.serving.health import Health, describe
from holdfast.service.asgi.serving.pictures import PictureResponses
from holdfast.service.core.policies import GROUP_AVATAR, ORG_GROUP_PICTURE, Policies
from holdfast.service.core.verbs import Verbs
from holdfast.service.protocols.attachments_api.uploads import AttachmentUploads
from holdfast.service.protocols.native.attachments import Attachment, AttachmentLinks, Events, Timeline
from holdfast.service.protocols.native.objects import Object, ObjectList, Slot, SlotEntry, SlotUndo
from holdfast.service.protocols.native.resource import reject
from holdfast.service.protocols.one_shot.group_avatar import GroupAvatar
from holdfast.service.protocols.one_shot.group_picture import GroupPicture
from holdfast.storage.records import Tenant

COMMUNITY = "/.api2/api/v1/communities/{community}"


def routes(
    driver: Driver,
    verbs: Verbs,
    room: DocumentRoom,
    uploads: Files,
    downloads: Downloads,
    pictures: PictureResponses,
    health: Health,
    policies: Policies,
    tenant: Tenant,
    *,
    strict_originator: bool,
) -> list[Route]:
    """Return the routes."""
    dialect = AttachmentUploads(tenant, policies.kinds())
    attachments, views = AttachmentsApi(driver, verbs, dialect), Views(driver, verbs, dialect)
    picture = functools.partial(Picture, driver, dialect.reject)
    policy = policies.same(GROUP_AVATAR)
    group = functools.partial(GroupAvatar, policy=policy, is_avatar=False, strict=strict_originator)
    avatar = functools.partial(GroupAvatar, policy=policy, is_avatar=True, strict=strict_originator)
    ellipsis_policy = policies.same(ORG_GROUP_PICTURE)
    ellipsis = functools.partial(GroupPicture, policy=ellipsis_policy)
    group_picture = GroupPictures(driver, verbs, room, ellipsis_policy, ellipsis, "picture")
    # Keys match any text, so that the dialect, not the router, answers a malformed key.
    table: dict[str, Callable[..., Any]] = {
        "/files": uploads,
        "/files/": uploads,
        "/files/{key:path}": uploads,
        f"{COMMUNITY}/attachments": attachments,
        f"{COMMUNITY}/attachments/": attachments,
        f"{COMMUNITY}/attachments/uploads/{{key:path}}": attachments,
        f"{COMMUNITY}/attachments/{{key}}/association/{{object:path}}": attachments,
        f"{COMMUNITY}/objects/{{object}}/attachments": attachments,
        f"{COMMUNITY}/previews/thumbnails/{{object}}": picture(pictures.preview, _community),
        # The known client joins a base that ends with a slash and a path that begins with one.
        "/.api/api.svc//attachments/{key}/view": views,
        "/.api/api.svc/attachments/{key}/view": views,
        "/.api2/binaries/{key}/download/{name:path}": Binaries(driver, downloads, dialect),
        "/.api2/binaries/{key}/thumbnails/{name:path}": picture(pictures.thumbnail, queried_tenant),
        "/avatars/static/{size}/default.png": picture(pictures.default, is_public=True),
        "/avatars/{tenant}/{size}/{key}/{name}": picture(pictures.avatar, _tenant),
        "/profile-manager/v1/groups/{group}": GroupPictures(driver, verbs, room, policy, group, "image"),
        "/profile-manager/v1/groups/{group}/avatar": GroupPictures(driver, verbs, room, policy, avatar, "image"),
        "/organization/group/{group}/profile": group_picture,
        "/v3/organization/group/{group}/profile": group_picture,
        "/api/v1/objects/{kind}/{id}/slots/{slot}/picture": Picture(driver, reject, pictures.current, queried_tenant),
        "/api/v1/attachments/{key}": Native(driver, Attachment, verbs.attachment),
        "/api/v1/attachments/{key}/events": Native(driver, Timeline, verbs.events),
        "/api/v1/attachments/{key}/links": Native(driver, AttachmentLinks, verbs.link),
        "/api/v1/events": Native(driver, Events, verbs.events),
        "/api/v1/objects/{kind}": Native(driver, ObjectList, verbs.page),
        "/api/v1/objects/{kind}/{id}": Native(driver, Object, verbs.object),
        "/api/v1/objects/{kind}/{id}/slots/{slot}": Native(driver, Slot, verbs.slot),
        "/api/v1/objects/{kind}/{id}/slots/{slot}/attachments/{key}": Native(driver, SlotEntry, verbs.slot),
        "/api/v1/objects/{kind}/{id}/slots/{slot}/undo": Native(driver, SlotUndo, verbs.slot),
        "/healthz": health.alive,
        "/readyz": health.ready,
        "/openapi.json": describe,
    }
    return [Route(path, endpoint) for path, endpoint in table.items()]


def _community(scope: Scope) -> Tenant | None:
    return community_of(scope["path_params"]["community"])


def _tenant(scope: Scope) -> Tenant:
    return Tenant(scope["path_params"]["tenant"])
