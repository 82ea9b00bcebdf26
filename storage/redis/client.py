"""
The client of a Redis that the stores of a process share: scripts, retries and errors.

Every script may run again after its answer was lost, without a second effect.  So a command that fails because a server restarts,
fails over, is busy or unreachable is retried here for a short time.
"""

from __future__ import annotations

import asyncio
import enum
import hashlib
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from importlib import resources
from typing import Any, TypeVar

from redis import exceptions as vendor
from redis.asyncio import Redis

from holdfast.storage.errors import Corrupted, NoSpace, StorageError, Unavailable
from holdfast.storage.redis.servers import find_servers

T = TypeVar("T")
Name = str | bytes
Argument = str | bytes | int | float
Call = tuple[Sequence[Name], Sequence[Argument]]
"""The keys and the arguments of one run of a script."""

SECONDS = 1.0
# Counted from the first failure; each try takes at most the socket timeout.
PATIENCE = 2 * SECONDS
FIRST_PAUSE = 0.02 * SECONDS
LONGEST_PAUSE = 0.3 * SECONDS
CONNECTIONS = 64


class Judgement(enum.Enum):
    """What to do about a failure that may pass."""

    TRY_AGAIN = "it may pass"


Verdict = type[StorageError] | Judgement

# Everything that redis-py raises.
VENDOR = (vendor.RedisError, vendor.RedisClusterException, OSError)
# The first match decides.
ERRORS: tuple[tuple[type[Exception], Verdict], ...] = (
    (vendor.AuthenticationError, Unavailable),
    (vendor.AuthorizationError, Unavailable),
    (vendor.OutOfMemoryError, NoSpace),
    (vendor.ConnectionError, Judgement.TRY_AGAIN),  # also: loading, no primary known
    (vendor.TimeoutError, Judgement.TRY_AGAIN),
    (vendor.ReadOnlyError, Judgement.TRY_AGAIN),
    (vendor.ClusterError, Judgement.TRY_AGAIN),  # also: the slot has no primary
    (vendor.TryAgainError, Judgement.TRY_AGAIN),
    (vendor.AskError, Judgement.TRY_AGAIN),
    (vendor.RedisClusterException, Judgement.TRY_AGAIN),
)
# Answers without a class in redis-py, by their first word.
ANSWERS: dict[str, Verdict] = {
    "BUSY": Judgement.TRY_AGAIN,
    "NOREPLICAS": Judgement.TRY_AGAIN,
    "WRONGTYPE": Corrupted,
}
KILLED = "Script killed by user"


def judge(error: Exception) -> Verdict:
    """Return what to do about an error of redis-py."""
    for kind, verdict in ERRORS:
        if isinstance(error, kind):
            return verdict
    if KILLED in str(error):
        return Judgement.TRY_AGAIN  # Redis kills only scripts that have written nothing
    return ANSWERS.get(str(error).partition(" ")[0], Unavailable)


@dataclass(frozen=True)
class Script:
    """
    A script of the folder ``lua``, by its name.

    A script that *frees* memory, or that freeing memory depends on, also runs when memory is full.
    """

    name: str
    frees: bool = False

    @cached_property
    def text(self) -> str:
        return resources.files("holdfast.storage.redis").joinpath("lua", f"{self.name}.lua").read_text("utf-8")

    @cached_property
    def sha(self) -> str:
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    @property
    def text_allow_oom(self) -> str:
        # Since Redis 7 (redis.io/docs/latest/develop/programmability/lua-api: script flags).
        return f"#!lua flags=allow-oom\n{self.text}"


class RedisClient:
    """Runs commands and scripts on the servers of *url*."""

    def __init__(self, url: str) -> None:
        self._servers = find_servers(url, CONNECTIONS)
        self._room = asyncio.Semaphore(CONNECTIONS)
        self._users = 0
        self._closed = False

    @property
    def counts_receivers(self) -> bool:
        """Whether the answer to PUBLISH counts every subscriber; in a Cluster it counts those of one node."""
        return self._servers.counts_receivers

    async def call(self, *command: Argument) -> Any:  # noqa: ANN401  # whatever the command answers
        """
        Return the answer to a command, which must be safe to repeat.

        :raises NoSpace, Corrupted, Unavailable: see `holdfast.storage.errors`.
        """
        return await self._with_retries(partial(self._servers.commands.execute_command, *command))

    async def run(self, script: Script, keys: Sequence[Name], arguments: Sequence[Argument] = ()) -> Any:  # noqa: ANN401
        """
        Return the answer of *script*, with retries.

        :raises NoSpace, Corrupted, Unavailable: see `holdfast.storage.errors`.
        """
        return await self._with_retries(partial(self._run_allow_oom, script, keys, arguments))

    async def run_once(self, script: Script, keys: Sequence[Name], arguments: Sequence[Argument] = ()) -> Any:  # noqa: ANN401
        """
        Return the answer of *script*, without retries.

        :raises NoSpace, Corrupted, Unavailable: see `holdfast.storage.errors`.
        """
        return await self._with_retries(partial(self._run_allow_oom, script, keys, arguments), patience=0.0)

    async def run_many(self, script: Script, calls: Sequence[Call]) -> list[Any]:
        """
        Return the answers of *script* to *calls*, which are sent in one pipeline.

        :raises NoSpace, Corrupted, Unavailable: see `holdfast.storage.errors`.
        """
        if not calls:
            return []
        try:
            async with self._place():
                answers = await self._send(script, calls)
        except VENDOR:
            answers = [None] * len(calls)
            failed = range(len(calls))
        else:
            failed = [place for place, answer in enumerate(answers) if isinstance(answer, Exception)]  # type: ignore[assignment]
        for place in failed:
            answers[place] = await self.run(script, *calls[place])
        return answers

    async def refresh_primary(self) -> None:
        """Check whether the primary has changed."""
        with suppress(*VENDOR):
            await self._servers.refresh_primary()

    async def listener(self) -> Redis:
        """
        Return a new client for a subscription, which the caller closes.

        :raises Unavailable: no server answers.
        """
        try:
            return await self._servers.listener()
        except VENDOR as error:
            raise Unavailable(str(error)) from error

    def join(self) -> None:
        """Count one more user, until `leave`."""
        self._users += 1

    async def leave(self) -> None:
        """Count one user less; the last one closes the connections."""
        self._users -= 1
        if self._users == 0:
            self._closed = True
            await self._servers.close()

    def _place(self) -> _ConnectionSlot:
        if self._closed:
            raise Unavailable("the connections to Redis are closed")
        return _ConnectionSlot(self._room)

    async def _run(self, script: Script, keys: Sequence[Name], arguments: Sequence[Argument]) -> Any:  # noqa: ANN401
        execute = self._servers.commands.execute_command
        try:
            return await execute("EVALSHA", script.sha, len(keys), *keys, *arguments)
        except vendor.NoScriptError:
            return await execute("EVAL", script.text, len(keys), *keys, *arguments)

    async def _run_allow_oom(self, script: Script, keys: Sequence[Name], arguments: Sequence[Argument]) -> Any:  # noqa: ANN401
        try:
            return await self._run(script, keys, arguments)
        except vendor.OutOfMemoryError:
            if not script.frees:
                raise
            return await self._servers.commands.execute_command("EVAL", script.text_allow_oom, len(keys), *keys, *arguments)

    async def _send(self, script: Script, calls: Sequence[Call]) -> list[Any]:
        pipeline = self._servers.commands.pipeline(transaction=False)
        for keys, arguments in calls:
            pipeline.execute_command("EVALSHA", script.sha, len(keys), *keys, *arguments)
        return list(await pipeline.execute(raise_on_error=False))

    async def _with_retries(self, attempt: Callable[[], Awaitable[T]], patience: float = PATIENCE) -> T:
        loop = asyncio.get_running_loop()
        until: float | None = None
        pause = FIRST_PAUSE
        while True:
            try:
                async with self._place():
                    return await attempt()
            except VENDOR as error:
                verdict = judge(error)
                if isinstance(error, vendor.ReadOnlyError):
                    await self._servers.forget()
                if verdict is not Judgement.TRY_AGAIN:
                    raise verdict(_described(error)) from error
                until = until or loop.time() + patience
                if loop.time() + pause > until:
                    raise Unavailable(_described(error)) from error
            await asyncio.sleep(pause * (0.5 + random.random()))  # noqa: S311  # so that clients do not retry in step
            pause = min(2 * pause, LONGEST_PAUSE)


class _ConnectionSlot:
    """One of the connections; waiting for a free one is bounded."""

    def __init__(self, room: asyncio.Semaphore) -> None:
        self._room = room

    async def __aenter__(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._room.acquire()
        except TimeoutError as error:
            raise Unavailable("every connection to Redis is in use") from error

    async def __aexit__(self, *_error: object) -> None:
        self._room.release()


def _described(error: Exception) -> str:
    return f"Redis: {error}" if str(error) else f"Redis: {type(error).__name__}"
