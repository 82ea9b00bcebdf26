"""
The composition root: the only file that names a backend.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from service.accounts.keys import KeyFile, KeySource, PublicKeys, Secret
from service.accounts.links import Links
from service.accounts.tokens import TokenVerifier
from service.accounts.webhook import Webhook
from service.asgi.auth import Accounts, without_accounts
from service.asgi.cors import cors
from service.asgi.driver import Driver
from service.asgi.health import Health
from service.asgi.inspection import Inspection
from service.asgi.pictures import Gallery
from service.asgi.requests import parse_networks
from service.asgi.routes import not_found, routes
from service.core.attachments import Attachments
from service.core.errors import UploadError
from service.core.filing import Filing
from service.core.limits import Limits
from service.core.objects import Objects
from service.core.pictures import Pictures
from service.core.policies import BUILT_IN, Policies
from service.core.uploads import Uploads
from service.images.limits import ImageLimits
from service.images.pool import Images
from service.images.renditions import Renditions
from service.images.shelf import Shelf
from service.settings import Settings, SettingsError
from storage.desk import SeparateDesk
from storage.local import LocalByteStore
from storage.memory import MemoryByteStore, MemoryLeases, MemoryMetadataStore
from storage.ports import ByteStore, Desk, Leases, MetadataStore
from storage.records import Tenant
from storage.sqlite import SqliteMetadataStore
from storage.sqlite_leases import SqliteLeases

logger = logging.getLogger("holdfast")

SECONDS = 1.0
SWEEP_EVERY = 60 * SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """Everything that keeps something."""

    content: ByteStore
    metadata: MetadataStore
    leases: Leases
    desk: Desk | None = None
    """What does in one step what takes two of metadata and leases."""

    def all(self) -> Sequence[ByteStore | MetadataStore | Leases]:
        """
        Return them in the order in which they are closed.
        """
        return (self.content, self.leases, self.metadata)


def open_stores(settings: Settings) -> Stores:
    """
    Return the stores that *settings* name.

    :raises SettingsError: a URL names none, or its folder cannot be used.
    :raises StorageError: one cannot be opened.
    """
    kinds = {name: url.partition(":") for name, url in (("METADATA", settings.metadata_url), ("BYTES", settings.bytes_url))}
    for name, embedded in (("METADATA", "sqlite"), ("BYTES", "file")):
        scheme = kinds[name][0]
        if scheme not in (embedded, "memory"):
            raise SettingsError(f"HOLDFAST_{name}_URL={''.join(kinds[name])}: this version knows {embedded}: and memory:")
        if scheme == "memory" and settings.workers > 1:
            raise SettingsError(f"HOLDFAST_{name}_URL=memory: is for one process; set HOLDFAST_WORKERS=1 or use {embedded}:")
    try:
        return _open_stores(settings, kinds["BYTES"], kinds["METADATA"])
    except OSError as error:
        raise SettingsError(f"HOLDFAST_DATA_DIR={settings.data_dir} cannot be used: {error}") from error


def _open_stores(settings: Settings, bytes_url: tuple[str, str, str], metadata_url: tuple[str, str, str]) -> Stores:
    content: ByteStore = MemoryByteStore()
    if bytes_url[0] == "file":
        content = LocalByteStore(bytes_url[2] or settings.data_dir, settings.durability)
    if metadata_url[0] == "memory":
        return Stores(content=content, metadata=MemoryMetadataStore(), leases=MemoryLeases())
    path = metadata_url[2] or os.path.join(settings.data_dir, "holdfast.sqlite")
    leases = SqliteLeases(os.path.join(os.path.dirname(os.path.abspath(path)), "leases"))
    return Stores(content=content, metadata=SqliteMetadataStore(path, settings.durability), leases=leases)


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
    attachments = Attachments(content, metadata, policies, look=Inspection(images), kept_at_least=kept)
    objects = Objects(metadata, policies, kept_at_least=kept)
    desk = stores.desk or SeparateDesk(metadata, stores.leases)
    uploads = Uploads(content, metadata, desk, limits, attachments, forget=shelf.remove)
    links = Links(settings.jwt_secret.encode() or None, longest=settings.link_life)
    accounts = open_accounts(settings, links)
    tenant = Tenant(settings.default_tenant)
    driver = Driver(
        uploads,
        Filing(uploads, attachments, objects, metadata, links.sign),
        Pictures(uploads, attachments, objects),
        policies,
        without_accounts if accounts is None else accounts,
        trusted=parse_networks(settings.trusted_proxies),
        idle_timeout=settings.idle_timeout,
    )
    gallery = Gallery(driver, Renditions(images, shelf), policies)
    health = Health({"bytes": stores.content.ping, "metadata": stores.metadata.ping, "leases": stores.leases.ping})

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        if not settings.jwt_secret:
            links.use(await metadata.secret("links"))  # the same in all processes, and after a restart
        sweeper = asyncio.create_task(_sweep(uploads, shelf))
        try:
            yield
        finally:
            sweeper.cancel()
            await asyncio.wait([sweeper])
            await images.close()
            if accounts is not None:
                await accounts.close()
            for store in stores.all():
                await store.close()

    app = Starlette(
        routes=routes(driver, health, gallery, policies, tenant, strict_originator=settings.symphony_host == "strict"),
        middleware=[cors(settings.cors_origins)],
        exception_handlers={HTTPException: not_found, Exception: not_found},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


def open_accounts(settings: Settings, links: Links) -> Accounts | None:
    """
    Return what says who asks; None where there are no accounts.

    :raises SettingsError: it cannot be opened.
    """
    if settings.auth == "none":
        return None
    tenant = Tenant(settings.default_tenant)
    try:
        if settings.authorize_url:
            webhook = Webhook(settings.authorize_url, settings.authorize_secret, default_tenant=tenant)
            return Accounts(links, None, webhook)
        keys: KeySource = Secret(settings.jwt_secret) if settings.jwt_secret else _public_keys(settings.jwt_keys)
    except (OSError, ValueError) as error:
        raise SettingsError(f"HOLDFAST_AUTH=jwt: {error}") from error
    issuer, audience = settings.jwt_issuer or None, settings.jwt_audience or None
    return Accounts(links, TokenVerifier(keys, default_tenant=tenant, issuer=issuer, audience=audience), None)


def _public_keys(where: str) -> KeySource:
    return PublicKeys(where) if "://" in where else KeyFile(where)


def application() -> Starlette:
    """
    Return the application that the environment describes, for ASGI servers that call a factory.
    """
    settings = Settings()
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    return create_app(settings, open_stores(settings))


async def _sweep(uploads: Uploads, shelf: Shelf) -> None:
    """Look for what is due, again and again; every process does, and none is in the way of another."""
    while True:
        try:
            await uploads.sweep()
        except UploadError:
            logger.exception("sweeping failed")
        await shelf.prune()
        await asyncio.sleep(SWEEP_EVERY)
