"""
Bridges to work that must not be left half done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

SECONDS = 1.0
INSIST = 0.1 * SECONDS


async def unbroken(work: Awaitable[T]) -> T:
    """
    Return what *work* returns; when the caller is cancelled, wait for the end of *work* first.
    """
    future = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        while not future.done():
            try:
                await asyncio.wait([future])
            except asyncio.CancelledError:
                continue  # asked twice; the work still goes on
        if not future.cancelled():
            future.exception()  # seen, so that nobody warns of it
        raise


async def together(*works: Coroutine[Any, Any, T]) -> list[T]:
    """
    Return what each of *works* returns.  When one fails, or the caller is cancelled, the others have ended before that is raised.
    """
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        await ended(tasks)
        raise


async def ended(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """
    Cancel *tasks*, and wait until the last of them has ended; what they raise is forgotten.
    """
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await unbroken(asyncio.gather(*tasks, return_exceptions=True))


async def stopped(task: asyncio.Task[Any]) -> None:
    """
    Cancel a task that goes on for ever, until it has ended; what it raises is forgotten.
    """
    while not task.done():
        task.cancel()
        # What it waits for may swallow that, as `asyncio.wait_for` does when both happen at once (until Python 3.12).
        await asyncio.wait([task], timeout=INSIST)
    if not task.cancelled():
        task.exception()


class Threads:
    """
    Runs blocking calls on threads of its own, so that a slow disk does not starve anybody else's executor.

    A thread cannot be cancelled, and the file descriptor and the buffer that it works with must not be closed and used again
    underneath it: hence `unbroken`.
    """

    def __init__(self, name: str, count: int) -> None:
        self._pool = ThreadPoolExecutor(max_workers=count, thread_name_prefix=name)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """
        Return ``function(*args, **kwargs)``, called on a thread.
        """
        return await unbroken(asyncio.wrap_future(self._pool.submit(function, *args, **kwargs)))

    def close(self) -> None:
        """
        Wait for the calls under way and end the threads.
        """
        self._pool.shutdown(wait=True)
