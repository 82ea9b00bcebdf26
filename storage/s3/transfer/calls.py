"""Calls of an S3 server: each runs on a thread, raises storage errors, and is repeated while its failure may pass."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TypeVar

from holdfast.storage.s3.errors import Passing, s3_errors
from holdfast.storage.s3.options import S3Options
from holdfast.storage.threads import Threads

T = TypeVar("T")

FIRST_PAUSE = 0.5  # seconds
LONGEST_PAUSE = 8.0
JITTER = 0.2


class Calls:
    """The calls of one kind, on threads of their own."""

    def __init__(self, name: str, options: S3Options) -> None:
        self._patience = options.patience
        self._threads = Threads(name, options.threads)

    async def call(self, what: str, work: Callable[[], T]) -> T:
        """Return what *work* returns, repeating it while its failure may pass; *what* begins the message of an error."""
        clock = asyncio.get_running_loop().time
        until = clock() + self._patience
        pause = FIRST_PAUSE
        while True:
            try:
                return await self.call_once(what, work)
            except Passing:
                if clock() + pause >= until:
                    raise
                # Spread, so that calls do not repeat in step.
                await asyncio.sleep(pause * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311
                pause = min(2 * pause, LONGEST_PAUSE)

    async def call_once(self, what: str, work: Callable[[], T]) -> T:
        """Return what *work* returns, without repeating it."""
        return await self._threads.run(_translated, what, work)

    def close(self, within: float) -> None:
        """End the threads; wait at most *within* seconds for calls under way."""
        self._threads.close(within)


def _translated(what: str, work: Callable[[], T]) -> T:
    with s3_errors(what):
        return work()
