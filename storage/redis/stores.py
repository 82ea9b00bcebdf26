"""Opens everything that a service keeps in a Redis."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from holdfast.storage.redis.advice import advice
from holdfast.storage.redis.client import RedisClient
from holdfast.storage.redis.leased_uploads import RedisLeasedUploads
from holdfast.storage.redis.leases import RedisLeases
from holdfast.storage.redis.metadata import RedisMetadataStore
from holdfast.storage.redis.names import PREFIX, RedisNames


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisStores:
    """The stores in one Redis; closing metadata and leases closes all of it."""

    metadata: RedisMetadataStore
    leases: RedisLeases
    leased_uploads: RedisLeasedUploads
    advice: Callable[[], Awaitable[Sequence[str]]]
    """Returns advice about its configuration, for the log."""


def open_redis(url: str, prefix: str = PREFIX) -> RedisStores:
    """
    Return the stores of a Redis, without connecting yet.  Services that share a Redis need different prefixes.

    :raises ValueError: *url* is malformed (see `holdfast.storage.redis.address`), or *prefix* is not ASCII without braces.
    """
    redis_client, names = RedisClient(url), RedisNames(prefix)
    metadata, leases = RedisMetadataStore(redis_client, names), RedisLeases(redis_client, names)
    leased_uploads = RedisLeasedUploads(leases)
    return RedisStores(metadata=metadata, leases=leases, leased_uploads=leased_uploads, advice=partial(advice, redis_client))
