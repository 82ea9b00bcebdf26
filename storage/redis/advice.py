"""
What to say about how a Redis is set up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdfast.storage.errors import StorageError
from holdfast.storage.redis.client import RedisClient

# What each of these commands tells: the section of INFO says it under other names, but to whoever may not ask for settings.
ASKED = (("INFO", "persistence"), ("INFO", "memory"), ("CONFIG GET", "save"))


async def advice(redis_client: RedisClient) -> Sequence[str]:
    """
    Return what whoever runs the Redis should know, in sentences; nothing of what it does not tell.
    """
    facts: dict[str, str] = {}
    for command, name in ASKED:
        try:
            facts |= _texts(await redis_client.call(command, name))
        except StorageError:
            continue  # servers that are rented often forbid CONFIG
    return judge(facts)


def judge(facts: Mapping[str, str]) -> Sequence[str]:
    """
    Return what is to be said of a server with these *facts*: fields of INFO, and ``save`` where it is known.
    """
    said = []
    if facts.get("aof_enabled") == "0":
        save = facts.get("save")
        kept = "it has no appendonly" if save is None else "it keeps snapshots only" if save else "it keeps nothing on disk"
        said.append(f"Redis may lose records when it restarts, for {kept}: set appendonly yes")
    if facts.get("maxmemory", "0") != "0" and (policy := facts.get("maxmemory_policy", "noeviction")) != "noeviction":
        said.append(f"Redis drops records when its memory is full (maxmemory-policy {policy}): set noeviction")
    return tuple(said)


def _texts(answer: object) -> dict[str, str]:
    """Return the pairs of an answer, of which redis-py makes texts or not, as it is the answer of a Cluster or of one server."""
    pairs = answer.items() if isinstance(answer, Mapping) else ()
    return {_text(name): _text(value) for name, value in pairs}


def _text(said: object) -> str:
    return said.decode() if isinstance(said, bytes) else str(said)
