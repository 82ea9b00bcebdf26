"""
Everything that a service keeps in a Redis, from its URL.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from storage.redis.advice import advice
from storage.redis.desk import RedisDesk
from storage.redis.leases import RedisLeases
from storage.redis.line import Line
from storage.redis.metadata import RedisMetadataStore
from storage.redis.names import PREFIX, Names


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisStores:
    """What is kept in one Redis; closing metadata and leases closes everything."""

    metadata: RedisMetadataStore
    leases: RedisLeases
    desk: RedisDesk
    advice: Callable[[], Awaitable[Sequence[str]]]
    """What to say about how it is set up."""


def open_redis(url: str, prefix: str = PREFIX) -> RedisStores:
    """
    Return the stores of a Redis.  Nothing is asked of it before it is needed.  Services that share one have different prefixes.

    :raises ValueError: *url* is none (see `storage.redis.address`), or *prefix* cannot be one.
    """
    line, names = Line(url), Names(prefix)
    metadata, leases = RedisMetadataStore(line, names), RedisLeases(line, names)
    desk = RedisDesk(names, metadata, leases)
    return RedisStores(metadata=metadata, leases=leases, desk=desk, advice=partial(advice, line))
