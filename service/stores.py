"""Opens the stores that settings name: the only file that names a backend."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from holdfast.service.asgi.serving.download import AccelPath, RedirectUrl
from holdfast.service.settings import Settings
from holdfast.service.settings_file import SettingsError
from holdfast.service.store_locations import public_url
from holdfast.storage.errors import StorageError
from holdfast.storage.leases.separate import SeparateLeasedUploads
from holdfast.storage.local.inventory import LocalInventory
from holdfast.storage.local.store import LocalByteStore
from holdfast.storage.memory import MemoryByteStore, MemoryLeases, MemoryMetadataStore
from holdfast.storage.ports.content import ByteStore
from holdfast.storage.ports.inventory import Inventory
from holdfast.storage.ports.leases import LeasedUploads, Leases
from holdfast.storage.ports.metadata import MetadataStore
from holdfast.storage.records import UploadRecord
from holdfast.storage.s3.options import S3Options
from holdfast.storage.sqlite.leases import SqliteLeases
from holdfast.storage.sqlite.metadata import SqliteMetadataStore

Advice = Callable[[], Awaitable[Sequence[str]]]
REDIS_SCHEMES = ("redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """The stores of a service."""

    content: ByteStore
    metadata: MetadataStore
    leases: Leases
    own_leased_uploads: LeasedUploads | None = None
    """A store of records that takes a lease in the same step; not every backend has one."""
    inventory: Inventory | None = None
    """The inventory of the byte store, for `holdfast check`; not every backend has one."""
    advice: Advice | None = None
    """Returns advice for the operator about a store's configuration, in sentences; not every backend has any."""

    @property
    def leased_uploads(self) -> LeasedUploads:
        """Records and leases together."""
        return self.own_leased_uploads or SeparateLeasedUploads(self.metadata, self.leases)

    async def close(self) -> None:
        """Close every store."""
        for store in (self.inventory, self.content, self.leases, self.metadata):
            if store is not None:
                await store.close()


def open_stores(settings: Settings) -> Stores:
    """
    Return the stores that *settings* name.

    :raises SettingsError: a URL names no known store, or a store cannot be opened.
    """
    for name, url, known in (("METADATA", settings.metadata_url, tuple(FACTS)), ("BYTES", settings.bytes_url, tuple(BYTES))):
        scheme = url.partition(":")[0]
        if scheme not in known:
            raise SettingsError(
                f"HOLDFAST_{name}_URL={public_url(url)}: has to begin with {', '.join(f'{each}:' for each in known)}"
            )
        if scheme == "memory" and settings.workers > 1:
            raise SettingsError(f"HOLDFAST_{name}_URL=memory: is for one process; set HOLDFAST_WORKERS=1")
    # Every URL is checked before any store is opened.
    open_facts = FACTS[settings.metadata_url.partition(":")[0]](settings)
    open_bytes = BYTES[settings.bytes_url.partition(":")[0]](settings)
    try:
        content, inventory = open_bytes()
        metadata, leases, leased_uploads, advice = open_facts()
    except (OSError, StorageError) as error:
        where = f"HOLDFAST_DATA_DIR={settings.data_dir}, or what a URL names in its place,"
        raise SettingsError(f"{where} cannot be used: {error}") from error
    return Stores(
        content=content, metadata=metadata, leases=leases, own_leased_uploads=leased_uploads, inventory=inventory, advice=advice
    )


def redirect_url(settings: Settings, content: ByteStore) -> RedirectUrl | None:
    """Return the function that makes URLs of the store itself, if the settings ask for redirects; else None."""
    if not settings.s3_redirect:
        return None
    from holdfast.storage.s3.store import S3ByteStore  # noqa: PLC0415 - as of S3

    if not isinstance(content, S3ByteStore):
        raise SettingsError("HOLDFAST_S3_REDIRECT has no effect without HOLDFAST_BYTES_URL=s3://BUCKET")

    def url(record: UploadRecord, disposition: str, content_type: str) -> str:
        return content.link(record, settings.link_life, disposition=disposition, content_type=content_type)

    return url


def accel_path(settings: Settings, content: ByteStore) -> AccelPath | None:
    """Return the function that makes paths for an nginx in front (X-Accel-Redirect), if the settings ask for it; else None."""
    if not (settings.accel_redirect and isinstance(content, LocalByteStore)):
        return None

    def path(record: UploadRecord) -> str:
        return settings.accel_redirect + content.published_name(record)

    return path


Bytes = Callable[[], tuple[ByteStore, Inventory]]
Facts = Callable[[], tuple[MetadataStore, Leases, LeasedUploads | None, Advice | None]]


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
        raise SettingsError(f"HOLDFAST_BYTES_URL={settings.bytes_url}: must be s3://BUCKET or s3://BUCKET/PREFIX")
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
        # boto3 takes half as long to load as everything else, so it is loaded only if needed.
        from holdfast.storage.s3.inventory import S3Inventory  # noqa: PLC0415
        from holdfast.storage.s3.store import S3ByteStore  # noqa: PLC0415

        store = S3ByteStore(options)
        return store, S3Inventory(store)

    return opened


def _memory_facts(_settings: Settings) -> Facts:
    return lambda: (MemoryMetadataStore(), MemoryLeases(), None, None)


def _sqlite_facts(settings: Settings) -> Facts:
    def opened() -> tuple[MetadataStore, Leases, LeasedUploads | None, Advice | None]:
        path = settings.metadata_url.partition(":")[2] or os.path.join(settings.data_dir, "holdfast.sqlite")
        leases = SqliteLeases(os.path.join(os.path.dirname(os.path.abspath(path)), "leases"))
        return SqliteMetadataStore(path, settings.durability), leases, None, None

    return opened


def _redis_facts(settings: Settings) -> Facts:
    from holdfast.storage.redis.stores import open_redis  # noqa: PLC0415 - as of S3

    try:
        stores = open_redis(settings.metadata_url)  # does not connect yet
    except ValueError as error:
        raise SettingsError(f"HOLDFAST_METADATA_URL: {error}") from error
    return lambda: (stores.metadata, stores.leases, stores.leased_uploads, stores.advice)


BYTES: dict[str, Callable[[Settings], Bytes]] = {"file": _local_bytes, "s3": _s3_bytes, "memory": _memory_bytes}
FACTS: dict[str, Callable[[Settings], Facts]] = {
    "sqlite": _sqlite_facts,
    **dict.fromkeys(REDIS_SCHEMES, _redis_facts),
    "memory": _memory_facts,
}
