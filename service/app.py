"""
The composition root: stores, rules, protocols and pages become one application.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from holdfast.service.accounts.keys import KeyFile, KeySource, PublicKeys, Secret
from holdfast.service.accounts.links import Links
from holdfast.service.accounts.tokens import TokenVerifier
from holdfast.service.accounts.webhook import Webhook
from holdfast.service.asgi.application import Application
from holdfast.service.asgi.auth import Accounts, WithoutAccounts
from holdfast.service.asgi.cors import cors, parse_list
from holdfast.service.asgi.driver import Driver
from holdfast.service.asgi.files import Files
from holdfast.service.asgi.inspection import Inspection
from holdfast.service.asgi.proxies import Proxies, parse_base, parse_networks
from holdfast.service.asgi.receiving.timers import ReceiveTimers
from holdfast.service.asgi.routes import not_found, routes
from holdfast.service.asgi.serving.health import Health
from holdfast.service.asgi.serving.pictures import PictureResponses
from holdfast.service.core.filing import Filing
from holdfast.service.core.limits import Limits
from holdfast.service.core.pictures import Pictures
from holdfast.service.core.policies import BUILT_IN, Policies
from holdfast.service.core.slots.attachments import Attachments
from holdfast.service.core.slots.objects import Objects
from holdfast.service.core.timekeeper import Timekeeper
from holdfast.service.core.uploads.uploads import Uploads
from holdfast.service.health.stores import Ping, StoreHealth
from holdfast.service.images.limits import ImageLimits
from holdfast.service.images.pool import Images
from holdfast.service.images.rendition_cache import RenditionCache
from holdfast.service.images.renditions import Renditions
from holdfast.service.settings import Settings
from holdfast.service.settings_file import SettingsError
from holdfast.service.store_locations import StoreLocations
from holdfast.service.stores import Stores, accel_path, open_stores, redirect_url
from holdfast.service.sweeper import sweep
from holdfast.storage.records import Tenant

logger = logging.getLogger("holdfast")


def create_app(settings: Settings, stores: Stores) -> Starlette:
    """
    Return the application over *stores*, which it closes when it ends.
    """
    limits = Limits(
        max_size=settings.max_size,
        idle_expiry=settings.idle_expiry,
        final_expiry=settings.final_expiry,
        unattached_expiry=settings.unattached_expiry or None,
        link_life=settings.link_life,
    )
    policies = Policies([*BUILT_IN, *(slot.to_policy() for slot in settings.slots)])
    images = Images(ImageLimits())
    cache = RenditionCache(os.path.join(settings.data_dir, "renditions"))
    content, metadata, kept = stores.content, stores.metadata, limits.link_life
    timekeeper = Timekeeper(metadata, limits.idle_expiry)
    now = timekeeper.at_most  # from then on what leaves a slot is kept
    attachments = Attachments(content, metadata, policies, look=Inspection(images), minimum_retention=kept, clock=now)
    objects = Objects(metadata, policies, minimum_retention=kept, clock=now)
    uploads = Uploads(content, metadata, stores.leased_uploads, limits, attachments, forget=cache.remove, times=timekeeper)
    links = Links(settings.jwt_secret.encode() or None, longest=settings.link_life)
    accounts = open_accounts(settings, links)
    tenant = Tenant(settings.default_tenant)
    proxies = Proxies(parse_networks(settings.trusted_proxies), parse_base(settings.public_url), settings.relative_location)
    store_health = StoreHealth(_pings(StoreLocations.of(settings), stores))
    driver = Driver(
        uploads,
        Filing(uploads, attachments, objects, metadata, links.sign, times=timekeeper),
        Pictures(uploads, attachments, objects),
        policies,
        accounts or WithoutAccounts(proxies, is_open=settings.open_behind_proxy),
        proxies=proxies,
        timers=ReceiveTimers(idle_timeout=settings.idle_timeout, min_rate=settings.min_rate),
        store_health=store_health,
        redirect_url=redirect_url(settings, content),
        accel_path=accel_path(settings, content),
    )
    picture_responses = PictureResponses(driver, Renditions(images, cache), policies)
    health = Health(store_health)

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

    files, strict = Files(driver, picture_responses, tenant), settings.symphony_host == "strict"
    app = Application(
        files,
        cors(settings.cors_origins, settings.cors_fields),
        routes(driver, files, health, picture_responses, policies, tenant, strict_originator=strict),
        exception_handlers={HTTPException: not_found, Exception: not_found},
        lifespan=lifespan,
    )
    app.state.timers = driver.timers
    app.router.redirect_slashes = False
    return app


def _pings(places: StoreLocations, stores: Stores) -> dict[str, dict[str, Ping]]:
    """Return how to ask each store, by the place where it is: what is in one place has its outages together."""
    pings: dict[str, dict[str, Ping]] = {places.content: {"bytes": stores.content.ping}}
    pings.setdefault(places.records, {}).update(metadata=stores.metadata.ping, leases=stores.leases.ping)
    return pings


def open_accounts(settings: Settings, links: Links) -> Accounts | None:
    """
    Return what says who asks; None where there are no accounts.

    :raises SettingsError: it cannot be opened.
    """
    if settings.auth == "none":
        return None
    tenant, friends = Tenant(settings.default_tenant), frozenset(parse_list(settings.cors_origins)) - {"*"}
    try:
        if settings.authorize_url:
            webhook = Webhook(settings.authorize_url, settings.authorize_secret, default_tenant=tenant)
            return Accounts(links, None, webhook, friends)
        keys: KeySource = Secret(settings.jwt_secret) if settings.jwt_secret else _public_keys(settings.jwt_keys)
    except (OSError, ValueError) as error:
        raise SettingsError(f"HOLDFAST_AUTH=jwt: {error}") from error
    issuer, audience = settings.jwt_issuer or None, settings.jwt_audience or None
    return Accounts(links, TokenVerifier(keys, default_tenant=tenant, issuer=issuer, audience=audience), None, friends)


def _public_keys(where: str) -> KeySource:
    return PublicKeys(where) if "://" in where else KeyFile(where)


def application() -> Starlette:
    """
    Return the application that the environment describes, for ASGI servers that call a factory.
    """
    settings = Settings()
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    return create_app(settings, open_stores(settings))
