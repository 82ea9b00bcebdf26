"""Advice about how a Redis is configured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdfast.storage.errors import StorageError
from holdfast.storage.redis.client import RedisClient

# INFO names these facts differently, but also answers users who may not read the configuration.
ASKED = (("INFO", "persistence"), ("INFO", "memory"), ("CONFIG GET", "save"))


async def advice(redis_client: RedisClient) -> Sequence[str]:
    """Return advice for the operator of the Redis, in sentences; facts that it does not reveal are left out."""
    facts: dict[str, str] = {}
    for command, name in ASKED:
        try:
            facts |= _texts(await redis_client.call(command, name))
        except StorageError:
            continue  # managed servers often forbid CONFIG
    return judge(facts)


def judge(facts: Mapping[str, str]) -> Sequence[str]:
    """Return advice for a server with these *facts*: fields of INFO, and ``save`` where it is known."""
    said = []
    if facts.get("aof_enabled") == "0":
        save = facts.get("save")
        kept = "it has no append-only file" if save is None else "it only keeps snapshots" if save else "it keeps nothing on disk"
        said.append(f"Redis may lose records when it restarts, because {kept}: set appendonly yes")
    if facts.get("maxmemory", "0") != "0" and (policy := facts.get("maxmemory_policy", "noeviction")) != "noeviction":
        said.append(f"Redis drops records when its memory is full (maxmemory-policy {policy}): set noeviction")
    return tuple(said)


def _texts(answer: object) -> dict[str, str]:
    """Return the pairs of an answer as text; redis-py decodes some answers, depending on the kind of server."""
    pairs = answer.items() if isinstance(answer, Mapping) else ()
    return {_text(name): _text(value) for name, value in pairs}


def _text(said: object) -> str:
    return said.decode() if isinstance(said, bytes) else str(said)
