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

from service.accounts.keys import KeyFile, KeySource, PublicKeys, Secret
from service.accounts.links import Links
from service.accounts.tokens import TokenVerifier
from service.accounts.webhook import Webhook
from service.asgi.application import Application
from service.asgi.auth import Accounts, WithoutAccounts
from service.asgi.cors import cors, parse_list
from service.asgi.driver import Driver, Elsewhere, Front
from service.asgi.files import Files
from service.asgi.health import Health
from service.asgi.inspection import Inspection
from service.asgi.pictures import Gallery
from service.asgi.proxies import Proxies, parse_base, parse_networks
from service.asgi.reception import Reception
from service.asgi.routes import not_found, routes
from service.asgi.weather import Ping, Weather
from service.core.attachments import Attachments
from service.core.filing import Filing
from service.core.limits import Limits
from service.core.objects import Objects
from service.core.pictures import Pictures
from service.core.policies import BUILT_IN, Policies
from service.core.timekeeper import Timekeeper
from service.core.uploads import Uploads
from service.images.limits import ImageLimits
from service.images.pool import Images
from service.images.renditions import Renditions
from service.images.shelf import Shelf
from service.places import Places
from service.settings import Settings
from service.settings_file import SettingsError
from service.stores import Stores, open_stores
from service.sweeper import sweep
from storage.local import LocalByteStore
from storage.ports import ByteStore
from storage.records import Tenant, UploadRecord

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
    shelf = Shelf(os.path.join(settings.data_dir, "renditions"))
    content, metadata, kept = stores.content, stores.metadata, limits.link_life
    timekeeper = Timekeeper(metadata, limits.idle_expiry)
    now = timekeeper.at_most  # from then on what leaves a slot is kept
    attachments = Attachments(content, metadata, policies, look=Inspection(images), kept_at_least=kept, clock=now)
    objects = Objects(metadata, policies, kept_at_least=kept, clock=now)
    uploads = Uploads(content, metadata, stores.desk, limits, attachments, forget=shelf.remove, times=timekeeper)
    links = Links(settings.jwt_secret.encode() or None, longest=settings.link_life)
    accounts = open_accounts(settings, links)
    tenant = Tenant(settings.default_tenant)
    proxies = Proxies(parse_networks(settings.trusted_proxies), parse_base(settings.public_url), settings.relative_location)
    weather = Weather(_pings(Places.of(settings), stores))
    driver = Driver(
        uploads,
        Filing(uploads, attachments, objects, metadata, links.sign, times=timekeeper),
        Pictures(uploads, attachments, objects),
        policies,
        accounts or WithoutAccounts(proxies, is_open=settings.open_behind_proxy),
        proxies=proxies,
        reception=Reception(idle_timeout=settings.idle_timeout, min_rate=settings.min_rate),
        weather=weather,
        elsewhere=_elsewhere(settings, content),
        front=_front(settings, content),
    )
    gallery = Gallery(driver, Renditions(images, shelf), policies)
    health = Health(weather)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        if not settings.jwt_secret:
            links.use(await metadata.secret("links"))  # the same in all processes, and after a restart
        sweeper = asyncio.create_task(sweep(uploads, timekeeper, shelf, weather))
        try:
            yield
        finally:
            sweeper.cancel()
            await asyncio.wait([sweeper])
            await weather.close()
            await images.close()
            if accounts is not None:
                await accounts.close()
            await stores.close()

    files, strict = Files(driver, gallery, tenant), settings.symphony_host == "strict"
    app = Application(
        files,
        cors(settings.cors_origins, settings.cors_fields),
        routes(driver, files, health, gallery, policies, tenant, strict_originator=strict),
        exception_handlers={HTTPException: not_found, Exception: not_found},
        lifespan=lifespan,
    )
    app.state.reception = driver.reception
    app.router.redirect_slashes = False
    return app


def _pings(places: Places, stores: Stores) -> dict[str, dict[str, Ping]]:
    """Return how to ask each store, by the place where it is: what is in one place has its outages together."""
    pings: dict[str, dict[str, Ping]] = {places.content: {"bytes": stores.content.ping}}
    pings.setdefault(places.records, {}).update(metadata=stores.metadata.ping, leases=stores.leases.ping)
    return pings


def _elsewhere(settings: Settings, content: ByteStore) -> Elsewhere | None:
    """Return what says where the store itself serves content, if it is to."""
    if not settings.s3_redirect:
        return None
    from storage.s3.store import S3ByteStore  # noqa: PLC0415 - as above

    if not isinstance(content, S3ByteStore):
        raise SettingsError("HOLDFAST_S3_REDIRECT has no effect without HOLDFAST_BYTES_URL=s3://BUCKET")

    def elsewhere(record: UploadRecord, disposition: str, content_type: str) -> str:
        return content.link(record, settings.link_life, disposition=disposition, content_type=content_type)

    return elsewhere


def _front(settings: Settings, content: ByteStore) -> Front | None:
    """Return what says under which path an nginx in front of us finds content, if it is to."""
    if not (settings.accel_redirect and isinstance(content, LocalByteStore)):
        return None

    def front(record: UploadRecord) -> str:
        return settings.accel_redirect + content.published(record)

    return front


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
