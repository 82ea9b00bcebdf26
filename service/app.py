"""
The composition root: the only file that names a backend.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from service.accounts.keys import KeyFile, KeySource, PublicKeys, Secret
from service.accounts.links import Links
from service.accounts.tokens import TokenVerifier
from service.accounts.webhook import Webhook
from service.asgi.application import Application
from service.asgi.auth import Accounts, without_accounts
from service.asgi.cors import cors
from service.asgi.driver import Driver, Elsewhere, Front
from service.asgi.health import Health
from service.asgi.inspection import Inspection
from service.asgi.pictures import Gallery
from service.asgi.reception import Reception
from service.asgi.requests import parse_networks
from service.asgi.routes import Files, not_found, routes
from service.asgi.weather import Ping, Weather
from service.core.attachments import Attachments
from service.core.errors import StoreFailed, UploadError
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
from service.places import Places, public_url
from service.settings import Settings, SettingsError
from storage.desk import SeparateDesk
from storage.errors import StorageError
from storage.inventory import Inventory
from storage.local import LocalByteStore
from storage.local_inventory import LocalInventory
from storage.memory import MemoryByteStore, MemoryLeases, MemoryMetadataStore
from storage.ports import ByteStore, Desk, Leases, MetadataStore
from storage.records import Tenant, UploadRecord
from storage.s3.options import S3Options
from storage.sqlite import SqliteMetadataStore
from storage.sqlite_leases import SqliteLeases

logger = logging.getLogger("holdfast")

SECONDS = 1.0
SWEEP_EVERY = 60 * SECONDS
Advice = Callable[[], Awaitable[Sequence[str]]]
REDIS_SCHEMES = ("redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """Everything that keeps something."""

    content: ByteStore
    metadata: MetadataStore
    leases: Leases
    own_desk: Desk | None = None
    """What does in one step what takes two of metadata and leases; not every store has one."""
    inventory: Inventory | None = None
    """By what content is compared with records; not every store has one."""
    advice: Advice | None = None
    """What to tell whoever runs the stores of how they are set up, in sentences; not every store has something to say."""

    @property
    def desk(self) -> Desk:
        """Facts and leases together."""
        return self.own_desk or SeparateDesk(self.metadata, self.leases)

    async def close(self) -> None:
        """
        Let go of everything.
        """
        for store in (self.inventory, self.content, self.leases, self.metadata):
            if store is not None:
                await store.close()


def open_stores(settings: Settings) -> Stores:
    """
    Return the stores that *settings* name.

    :raises SettingsError: a URL names none, or one cannot be opened.
    """
    for name, url, known in (("METADATA", settings.metadata_url, tuple(FACTS)), ("BYTES", settings.bytes_url, tuple(BYTES))):
        scheme = url.partition(":")[0]
        if scheme not in known:
            raise SettingsError(
                f"HOLDFAST_{name}_URL={public_url(url)}: this version knows {', '.join(f'{each}:' for each in known)}"
            )
        if scheme == "memory" and settings.workers > 1:
            raise SettingsError(f"HOLDFAST_{name}_URL=memory: is for one process; set HOLDFAST_WORKERS=1")
    # All that can be refused is refused before anything is made.
    open_facts = FACTS[settings.metadata_url.partition(":")[0]](settings)
    open_bytes = BYTES[settings.bytes_url.partition(":")[0]](settings)
    try:
        content, inventory = open_bytes()
        metadata, leases, desk, advice = open_facts()
    except (OSError, StorageError) as error:
        where = f"HOLDFAST_DATA_DIR={settings.data_dir}, or what a URL names in its place,"
        raise SettingsError(f"{where} cannot be used: {error}") from error
    return Stores(content=content, metadata=metadata, leases=leases, own_desk=desk, inventory=inventory, advice=advice)


Bytes = Callable[[], tuple[ByteStore, Inventory]]
Facts = Callable[[], tuple[MetadataStore, Leases, Desk | None, Advice | None]]


def _memory_bytes(_settings: Settings) -> Bytes:
    store = MemoryByteStore()
    return lambda: (store, store)


def _local_bytes(settings: Settings) -> Bytes:
    def opened() -> tuple[ByteStore, Inventory]:
        store = LocalByteStore(settings.bytes_url.partition(":")[2] or settings.data_dir, settings.durability)
        return store, LocalInventory(store)

    return opened


def _s3_bytes(settings: Settings) -> Bytes:
    bucket, _, prefix = settings.bytes_url.removeprefix("s3://").partition("/")
    if not bucket or not settings.bytes_url.startswith("s3://"):
        raise SettingsError(f"HOLDFAST_BYTES_URL={settings.bytes_url}: has to be s3://BUCKET or s3://BUCKET/PREFIX")
    spool = os.path.join(settings.data_dir, "spool")
    options = S3Options(
        bucket=bucket,
        prefix=f"{prefix.strip('/')}/" if prefix.strip("/") else "",
        endpoint_url=settings.s3_endpoint_url or None,
        part_size=settings.s3_part_size,
        equal_parts=settings.s3_equal_parts,
        max_parts=settings.s3_max_parts,
        checksum=settings.s3_checksum,
        addressing=settings.s3_addressing,
        memory=settings.s3_memory,
        spool_folder=spool,
    )

    def opened() -> tuple[ByteStore, Inventory]:
        # Its client takes half as long to load as all else: only who needs it waits for it.
        from storage.s3.inventory import S3Inventory  # noqa: PLC0415
        from storage.s3.store import S3ByteStore  # noqa: PLC0415

        store = S3ByteStore(options)
        return store, S3Inventory(store)

    return opened


def _memory_facts(_settings: Settings) -> Facts:
    return lambda: (MemoryMetadataStore(), MemoryLeases(), None, None)


def _sqlite_facts(settings: Settings) -> Facts:
    def opened() -> tuple[MetadataStore, Leases, Desk | None, Advice | None]:
        path = settings.metadata_url.partition(":")[2] or os.path.join(settings.data_dir, "holdfast.sqlite")
        leases = SqliteLeases(os.path.join(os.path.dirname(os.path.abspath(path)), "leases"))
        return SqliteMetadataStore(path, settings.durability), leases, None, None

    return opened


def _redis_facts(settings: Settings) -> Facts:
    from storage.redis.stores import open_redis  # noqa: PLC0415 - as of S3

    try:
        stores = open_redis(settings.metadata_url)  # asks nobody anything yet
    except ValueError as error:
        raise SettingsError(f"HOLDFAST_METADATA_URL: {error}") from error
    return lambda: (stores.metadata, stores.leases, stores.desk, stores.advice)


BYTES: dict[str, Callable[[Settings], Bytes]] = {"file": _local_bytes, "s3": _s3_bytes, "memory": _memory_bytes}
FACTS: dict[str, Callable[[Settings], Facts]] = {
    "sqlite": _sqlite_facts,
    **dict.fromkeys(REDIS_SCHEMES, _redis_facts),
    "memory": _memory_facts,
}


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
    uploads = Uploads(content, metadata, stores.desk, limits, attachments, forget=shelf.remove)
    links = Links(settings.jwt_secret.encode() or None, longest=settings.link_life)
    accounts = open_accounts(settings, links)
    tenant = Tenant(settings.default_tenant)
    weather = Weather(_pings(Places.of(settings), stores))
    driver = Driver(
        uploads,
        Filing(uploads, attachments, objects, metadata, links.sign),
        Pictures(uploads, attachments, objects),
        policies,
        without_accounts if accounts is None else accounts,
        trusted=parse_networks(settings.trusted_proxies),
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
        sweeper = asyncio.create_task(_sweep(uploads, shelf, weather))
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
        cors(settings.cors_origins),
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


async def _sweep(uploads: Uploads, shelf: Shelf, weather: Weather) -> None:
    """Look for what is due, again and again; every process does, and none is in the way of another."""
    while True:
        try:
            await uploads.sweep()
        except StoreFailed as error:
            weather.notice(error)
        except UploadError:
            logger.exception("sweeping failed")
        await shelf.prune()
        await asyncio.sleep(SWEEP_EVERY)
