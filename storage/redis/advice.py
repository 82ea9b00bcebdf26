"""
What to say about how a Redis is set up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from storage.errors import StorageError
from storage.redis.line import Line

ASKED = ("appendonly", "save", "maxmemory", "maxmemory-policy")


async def advice(line: Line) -> Sequence[str]:
    """
    Return what whoever runs the Redis should know, in sentences; nothing where it does not tell how it is set up.
    """
    settings: dict[str, str] = {}
    try:
        for name in ASKED:
            settings |= _texts(await line.call("CONFIG GET", name))
    except StorageError:
        return ()  # many that are rented forbid it
    return judge(settings)


def judge(settings: Mapping[str, str]) -> Sequence[str]:
    """
    Return what is to be said of these settings of a server.
    """
    said = []
    if settings.get("appendonly") == "no":
        kept = "it keeps snapshots only" if settings.get("save") else "it keeps nothing on disk"
        said.append(f"Redis may lose records when it restarts, for {kept}: set appendonly yes")
    if settings.get("maxmemory", "0") != "0" and (policy := settings.get("maxmemory-policy", "noeviction")) != "noeviction":
        said.append(f"Redis drops records when its memory is full (maxmemory-policy {policy}): set noeviction")
    return tuple(said)


def _texts(answer: object) -> dict[str, str]:
    """Return the pairs of an answer, of which redis-py makes texts or not, as it is the answer of a Cluster or of one server."""
    pairs = answer.items() if isinstance(answer, Mapping) else ()
    return {_text(name): _text(value) for name, value in pairs}


def _text(said: object) -> str:
    return said.decode() if isinstance(said, bytes) else str(said)
