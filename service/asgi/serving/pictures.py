"""Renditions of images: sanitised, in several sizes, made once, and served under immutable URLs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import quote

from holdfast.service.asgi.answers import LargeAnswers
from holdfast.service.asgi.exchange import Exchange
from holdfast.service.asgi.requests import community_key_invalid, community_of
from holdfast.service.asgi.serving.download import complete
from holdfast.service.core import upload as rules
from holdfast.service.core.access.authorised import View
from holdfast.service.core.commands import GetSlot, SlotOutcome
from holdfast.service.core.content.content import NoContent
from holdfast.service.core.content.media_types import is_of_images
from holdfast.service.core.content.sniffing import SNIFFED_BYTES, sniff
from holdfast.service.core.errors import ObjectNotFound
from holdfast.service.core.policies import PROFILE_PHOTO, Policies
from holdfast.service.core.uploads.views import UploadViews
from holdfast.service.core.verbs import Verbs
from holdfast.service.images.default import MAX_SIZE
from holdfast.service.images.errors import ImageRefused, ImagesBusy, RenditionInvalid
from holdfast.service.images.render import Rendered
from holdfast.service.images.rendition import Rendition, dimension, rounded_up
from holdfast.service.images.renditions import DefaultPictures, Renditions
from holdfast.service.images.turns import Claimant
from holdfast.service.protocols.http.picture_urls import DEFAULT_SIZE, ORIGINAL, avatar_url, default_url, is_avatar_name
from holdfast.service.protocols.http.representation import IMAGE_POLICY
from holdfast.service.protocols.http.wire import Fields, ProtocolError, Request, Response, condition_of
from holdfast.service.protocols.native.resource import object_id, parse_query
from holdfast.storage.records import Key, SlotRef, Tenant, UploadRecord

# The URL names the content; the server checks access again when the browser's cache has dropped it.
IMMUTABLE = ("Cache-Control", "private, max-age=31536000, immutable")
THUMBNAIL = ("Cache-Control", "private, max-age=86400")
DEFAULT = ("Cache-Control", "public, max-age=86400")
STABLE = ("Cache-Control", "private, no-cache")
SAFE: Fields = (("X-Content-Type-Options", "nosniff"), ("Content-Security-Policy", IMAGE_POLICY))
MAX_ORIGINAL = 64 * 1024 * 1024  # bytes
MAX_SNIFFED = 32  # attachments


class PictureResponses:
    """The responses of all picture URLs."""

    def __init__(self, verbs: Verbs, renditions: Renditions, policies: Policies, answers: LargeAnswers) -> None:
        """Responses with the same image share the copy that *answers* hold."""
        self._verbs = verbs
        self._answers = answers
        self._policies = policies
        self._sizes = frozenset(size for policy in policies for size in policy.renditions)
        self._renditions = renditions
        self._defaults = DefaultPictures()

    async def thumbnail(self, exchange: Exchange, _names: Mapping[str, str]) -> Response:
        """Return an image in the size that the query requests, or the next larger configured size."""
        request = exchange.request
        rendition = rounded_up(rendition_of(request), self._sizes)
        view = await complete(self._verbs, exchange)
        return _shown(request, await self.rendered(view, rendition, exchange), THUMBNAIL)

    async def avatar(self, exchange: Exchange, names: Mapping[str, str]) -> Response:
        """Return the rendition of an immutable URL."""
        request = exchange.request
        key, size = request.key, names["size"]
        is_size = size in (ORIGINAL, *map(str, self._sizes))
        if key is None or not is_size or not is_avatar_name(names["name"], request.tenant, key, size):
            raise ProtocolError(404, "picture_not_found", "there is no such picture")
        view = await complete(self._verbs, exchange)
        rendition = Rendition() if size == ORIGINAL else Rendition(width=int(size), height=int(size), crop=True)
        return _shown(request, await self.rendered(view, rendition, exchange), IMMUTABLE)

    async def default(self, exchange: Exchange, names: Mapping[str, str]) -> Response:
        """Return the default picture."""
        request = exchange.request
        size = names["size"]
        if not (size.isascii() and size.isdecimal() and len(size) <= len(str(MAX_SIZE)) and 1 <= int(size) <= MAX_SIZE):
            raise ProtocolError(404, "picture_not_found", f"sizes are numbers from 1 to {MAX_SIZE}")
        content = await self._defaults.get(int(size))
        return _response(request, content, "image/png", f"default-{int(size)}", DEFAULT)

    async def preview(self, exchange: Exchange, names: Mapping[str, str]) -> Response:
        """Return a redirect to the current photo of a user."""
        if community_of(names["community"]) is None:
            raise community_key_invalid()
        return await self._current(exchange, PROFILE_PHOTO.kind, names["object"], PROFILE_PHOTO.slot)

    async def current(self, exchange: Exchange, names: Mapping[str, str]) -> Response:
        """Return a redirect to the current picture of a slot."""
        return await self._current(exchange, names["kind"], names["id"], names["slot"])

    async def _current(self, exchange: Exchange, kind: str, identifier: str, name: str) -> Response:
        """Return a redirect with the slot's entity tag, or 304 if the slot has not changed."""
        request = exchange.request
        slot = SlotRef(tenant=request.tenant, kind=kind, id=object_id(identifier), slot=name)
        rendition = rounded_up(rendition_of(request), self._sizes)
        found: SlotOutcome | None = None
        with suppress(ObjectNotFound):  # an unknown object gets the default picture, so that pages show no broken images
            found = await self._verbs.slot(exchange.principal, GetSlot(slot=slot), NoContent())
        etag = found.slot.etag if found is not None and found.slot.etag else "none"
        fields = (("ETag", f'"{etag}"'), STABLE)
        if condition_of(request.fields, strict=False).knows(etag):
            return Response(status=304, fields=fields)
        side = rendition.width or rendition.height or DEFAULT_SIZE
        location = default_url(min(side, MAX_SIZE))
        image = None if found is None else await self._first_image(found)
        if image is not None:
            location = self._location(request.tenant, image.key, rendition)
        return Response(status=302, fields=(*fields, ("Location", request.prefix + location)))

    async def sanitised(self, exchange: Exchange, view: View) -> Response | None:
        """
        Return an image without metadata for viewers who may not see the original; None if the original may be sent.

        :raises ProtocolError: the image cannot be rendered.
        """
        if view.original or not await self._is_image(view.record):
            return None
        return _shown(exchange.request, await self.rendered(view, Rendition(), exchange), THUMBNAIL)

    async def _first_image(self, found: SlotOutcome) -> UploadRecord | None:
        """Return the first image of a slot; if the slot accepts other types, search the first few attachments only."""
        if is_of_images(self._policies.of(found.slot.ref).types):
            return next(iter(found.attachments), None)
        for record in found.attachments[:MAX_SNIFFED]:
            if await self._is_image(record):
                return record
        return None

    async def _is_image(self, record: UploadRecord) -> bool:
        return sniff(await self._verbs.views.start_of(record, SNIFFED_BYTES)) is not None

    async def rendered(self, view: View, rendition: Rendition, exchange: Exchange) -> Rendered:
        """
        Return an image in another size, made once.

        :raises ProtocolError: 404, the image cannot be rendered; 503, too many images wait.
        """
        if view.record.offset > MAX_ORIGINAL:
            raise ProtocolError(404, "no_thumbnail", "the attachment is too large for a thumbnail")
        by = Claimant(exchange.request.tenant, exchange.principal.subject)
        try:
            rendered = await self._renditions.get(view.record.key, rendition, _Stored(self._verbs.views, view), by)
        except ImageRefused as error:
            raise ProtocolError(404, "no_thumbnail", str(error)) from error
        except ImagesBusy as error:
            raise ProtocolError(
                503, "images_busy", "too many of your images wait to be rendered; try again in a moment", (("Retry-After", "1"),)
            ) from error
        return dataclasses.replace(rendered, content=self._answers.shared(rendered.content))

    def _location(self, tenant: Tenant, key: Key, rendition: Rendition) -> str:
        """Return the URL of a rendition: an immutable one if that size is configured."""
        if rendition == Rendition():
            return avatar_url(tenant, key, ORIGINAL)
        if rendition.width == rendition.height and rendition.width in self._sizes and rendition.crop:
            return avatar_url(tenant, key, str(rendition.width))
        sides = (("width", rendition.width), ("height", rendition.height))
        parameters = [f"{name}={value}" for name, value in sides if value]
        parameters += ["crop=true"] if rendition.crop else []
        query = "&".join([*parameters, f"communityKey={quote(tenant, safe='')}"])
        return f"/.api2/binaries/{key}/thumbnails/{key}?{query}"


class _Stored:
    """An attachment as the original of renditions."""

    def __init__(self, views: UploadViews, view: View) -> None:
        self._views = views
        self._view = view

    async def read(self) -> list[bytes]:
        return [bytes(block) async for block in self._views.read(self._view, 0, self._view.record.offset)]

    async def exists(self) -> bool:
        return not rules.is_over(await self._views.record_of(self._view.record.ref))


def rendition_of(request: Request) -> Rendition:
    """Return the rendition that the query requests; other parameters are ignored."""
    values = parse_query(request, ("width", "height", "crop"))
    crop = values.get("crop", "false").lower()
    if crop not in ("true", "false"):
        raise ProtocolError(400, "crop_invalid", "crop has to be true or false")
    try:
        width, height = (dimension(values[name]) if name in values else None for name in ("width", "height"))
    except RenditionInvalid as error:
        raise ProtocolError(400, "size_invalid", str(error)) from error
    return Rendition(width=width, height=height, crop=crop == "true")


def _shown(request: Request, rendered: Rendered, cache: tuple[str, str]) -> Response:
    return _response(request, rendered.content, rendered.content_type, rendered.name, cache)


def _response(request: Request, content: bytes, kind: str, etag: str, cache: tuple[str, str]) -> Response:
    fields: Fields = (("ETag", f'"{etag}"'), cache, *SAFE)
    if condition_of(request.fields, strict=False).knows(etag):
        return Response(status=304, fields=fields)
    return Response(status=200, fields=(*fields, ("Content-Type", kind), ("Content-Disposition", "inline")), content=content)
