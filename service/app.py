"""The composition root: creates the application from settings and stores."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from holdfast.service.accounts.links import Links
from holdfast.service.asgi.answers import LargeAnswers
from holdfast.service.asgi.application import Application
from holdfast.service.asgi.auth import WithoutAccounts
from holdfast.service.asgi.cors import cors
from holdfast.service.asgi.driver import Driver
from holdfast.service.asgi.endpoints.files import Files
from holdfast.service.asgi.inspection import Inspection
from holdfast.service.asgi.proxies import Proxies, parse_base, parse_networks
from holdfast.service.asgi.receiving.room import DocumentRoom
from holdfast.service.asgi.receiving.timers import ReceiveTimers
from holdfast.service.asgi.routes import routes
from holdfast.service.asgi.serving.download import Downloads
from holdfast.service.asgi.serving.health import Health
from holdfast.service.asgi.serving.pictures import PictureResponses
from holdfast.service.asgi.serving.texts import Texts
from holdfast.service.authentication import open_accounts
from holdfast.service.core.access.authorised import Access
from holdfast.service.core.limits import Limits
from holdfast.service.core.pictures import Pictures
from holdfast.service.core.policies import BUILT_IN, Policies
from holdfast.service.core.slots.attachments import Attachments
from holdfast.service.core.slots.objects import Objects
from holdfast.service.core.timekeeper import Timekeeper
from holdfast.service.core.uploads.uploads import Uploads
from holdfast.service.core.uploads.views import UploadViews
from holdfast.service.core.verbs import Verbs
from holdfast.service.health.stores import Ping, StoreHealth
from holdfast.service.images.limits import ImageLimits
from holdfast.service.images.pool import Images
from holdfast.service.images.rendition_cache import RenditionCache
from holdfast.service.images.renditions import Renditions
from holdfast.service.settings import Settings
from holdfast.service.store_locations import StoreLocations
from holdfast.service.stores import Stores, accel_path, open_stores, redirect_url
from holdfast.service.sweeper import sweep
from holdfast.storage.records import Tenant

logger = logging.getLogger("holdfast")


def create_app(settings: Settings, stores: Stores) -> Starlette:
    """Return the application over *stores*, which it closes when it ends."""
    limits = Limits(
        max_size=settings.max_size,
        idle_expiry=settings.idle_expiry,
        final_expiry=settings.final_expiry,
        unattached_expiry=settings.unattached_expiry or None,
        link_life=settings.link_life,
    )
    policies = Policies([*BUILT_IN, *settings.slots])
    images = Images(ImageLimits())
    cache = RenditionCache(os.path.join(settings.data_dir, "renditions"))
    content, metadata, kept = stores.content, stores.metadata, limits.link_life
    timekeeper = Timekeeper(metadata, limits.idle_expiry)
    now = timekeeper.at_most
    attachments = Attachments(content, metadata, policies, inspect=Inspection(images), minimum_retention=kept, clock=now)
    objects = Objects(metadata, policies, minimum_retention=kept, clock=now)
    uploads = Uploads(content, metadata, stores.leased_uploads, limits, attachments, forget=cache.remove, times=timekeeper)
    links = Links(settings.jwt_secret.encode() or None, longest=settings.link_life)
    views = UploadViews(content, metadata, links.sign, link_life=kept, times=timekeeper)
    accounts = open_accounts(settings, links)
    tenant = Tenant(settings.default_tenant)
    proxies = Proxies(parse_networks(settings.trusted_proxies), parse_base(settings.public_url), settings.relative_location)
    store_health = StoreHealth(_pings(StoreLocations.of(settings), stores))
    timers = ReceiveTimers(idle_timeout=settings.idle_timeout, min_rate=settings.min_rate)
    answers, texts = LargeAnswers(), Texts(views)
    authenticate = accounts or WithoutAccounts(proxies, is_open=settings.open_behind_proxy)
    driver = Driver(authenticate, tenant, limits, proxies=proxies, timers=timers, store_health=store_health, answers=answers)
    verbs = Verbs(Access(policies), uploads, views, attachments, objects, Pictures(uploads, views, attachments))
    pictures = PictureResponses(verbs, Renditions(images, cache), policies, answers)
    downloads = Downloads(
        verbs,
        texts,
        pictures.sanitised,
        store_health,
        idle_timeout=timers.idle_timeout,
        redirect_url=redirect_url(settings, content),
        accel_path=accel_path(settings, content),
    )
    files, health = Files(driver, verbs, downloads, texts), Health(store_health)
    strict = settings.symphony_host == "strict"
    table = routes(driver, verbs, DocumentRoom(), files, downloads, pictures, health, policies, tenant, strict_originator=strict)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        if not settings.jwt_secret:
            links.use(await metadata.secret("links"))  # the same in all processes, and after a restart
        sweeper = asyncio.create_task(sweep(uploads, timekeeper, cache, store_health))
        try:
            yield
        finally:
            sweeper.cancel()
            await asyncio.wait([sweeper])
            await store_health.close()
            await images.close()
            if accounts is not None:
                await accounts.close()
            await stores.close()

    app = Application(files, cors(settings.cors_origins, settings.cors_fields), table, lifespan)
    app.state.timers = timers
    return app


def _pings(places: StoreLocations, stores: Stores) -> dict[str, dict[str, Ping]]:
    """Return the pings of the stores, grouped by location: stores in one location fail together."""
    pings: dict[str, dict[str, Ping]] = {places.content: {"bytes": stores.content.ping}}
    pings.setdefault(places.records, {}).update(metadata=stores.metadata.ping, leases=stores.leases.ping)
    return pings


def application() -> Starlette:
    """Return the application that the environment describes, for ASGI servers that call a factory."""
    settings = Settings()
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    return create_app(settings, open_stores(settings))
