"""
Which URL speaks which dialect: one table.
"""

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
from holdfast.service.asgi.requests import community_of, queried_tenant
from holdfast.service.asgi.serving.download import Downloads
from holdfast.service.asgi.serving.health import Health, describe
from holdfast.service.asgi.serving.pictures import PictureResponses
from holdfast.service.asgi.verbs import Verbs
from holdfast.service.core.policies import GROUP_AVATAR, ORG_GROUP_PICTURE, Policies
from holdfast.service.protocols.attachments_api.uploads import AttachmentUploads
from holdfast.service.protocols.native.attachments import Attachment, AttachmentLinks, Events, Timeline
from holdfast.service.protocols.native.objects import Object, ObjectList, Slot, SlotEntry, SlotUndo
from holdfast.service.protocols.native.resource import Resource, reject
from holdfast.service.protocols.one_shot.group_avatar import GroupAvatar
from holdfast.service.protocols.one_shot.group_picture import GroupPicture
from holdfast.storage.records import Tenant

NATIVE: dict[str, type[Resource]] = {
    "/api/v1/attachments/{key}": Attachment,
    "/api/v1/attachments/{key}/events": Timeline,
    "/api/v1/attachments/{key}/links": AttachmentLinks,
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
    verbs: Verbs,
    uploads: Files,
    downloads: Downloads,
    pictures: PictureResponses,
    health: Health,
    policies: Policies,
    tenant: Tenant,
    *,
    strict_originator: bool,
) -> list[Route]:
    """
    Return the table; a slash at the end makes no difference.
    """
    dialect = AttachmentUploads(tenant, policies.kinds())
    attachments, views = AttachmentsApi(driver, verbs, dialect), Views(driver, verbs, dialect)
    picture = functools.partial(Picture, driver, dialect.reject)
    policy = policies.same(GROUP_AVATAR)
    group = functools.partial(GroupAvatar, policy=policy, is_avatar=False, strict=strict_originator)
    avatar = functools.partial(GroupAvatar, policy=policy, is_avatar=True, strict=strict_originator)
    ellipsis = functools.partial(GroupPicture, policy=policies.same(ORG_GROUP_PICTURE))
    group_picture = GroupPictures(driver, verbs, ellipsis, "picture")
    # A key is whatever stands there: what cannot be one is refused in the words of the dialect, not by the router.
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
        "/profile-manager/v1/groups/{group}": GroupPictures(driver, verbs, group, "image"),
        "/profile-manager/v1/groups/{group}/avatar": GroupPictures(driver, verbs, avatar, "image"),
        "/organization/group/{group}/profile": group_picture,
        "/v3/organization/group/{group}/profile": group_picture,
        "/api/v1/objects/{kind}/{id}/slots/{slot}/picture": Picture(driver, reject, pictures.current, queried_tenant),
        **{path: Native(driver, verbs, resource) for path, resource in NATIVE.items()},
        "/healthz": health.alive,
        "/readyz": health.ready,
        "/openapi.json": describe,
    }
    return [Route(path, endpoint) for path, endpoint in table.items()]


def _community(scope: Scope) -> Tenant | None:
    return community_of(scope["path_params"]["community"])


def _tenant(scope: Scope) -> Tenant:
    return Tenant(scope["path_params"]["tenant"])
