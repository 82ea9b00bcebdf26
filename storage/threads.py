"""
Bridges to work that must not be left half done.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
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
        # Not `gather`: it would cancel them, and tell of it before they have ended.
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION) if tasks else (tasks, None)
        for task in done:
            task.result()
        return [task.result() for task in tasks]
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


class _Result(asyncio.Future[T]):
    """
    What a call on a thread comes to.  It cannot be cancelled: a task that is cancelled while it waits hears of it afterwards.
    """

    def cancel(self, msg: Any | None = None) -> bool:  # noqa: ANN401 - as in asyncio
        return False


@dataclass(frozen=True, slots=True)
class _Call:
    function: Callable[[], Any]
    result: _Result[Any]

    def make(self) -> None:
        """Make the call on this thread, and tell the loop what it came to."""
        settle: Callable[[], object]
        try:
            settle = partial(self.result.set_result, self.function())
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised again where it is waited for
            settle = partial(self.result.set_exception, error)
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self.result.get_loop().call_soon_threadsafe(settle)


class Threads:
    """
    Runs blocking calls on threads of its own, so that a slow disk does not starve anybody else's executor.

    A thread cannot be cancelled, and the file descriptor and the buffer that it works with must not be closed and used again
    underneath it: hence a result that cannot be cancelled either.  One call costs a few microseconds, for there are many.
    """

    def __init__(self, name: str, count: int) -> None:
        self._name = name
        self._count = count
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._under_way = 0
        self._closed = False

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """
        Return ``function(*args, **kwargs)``, called on a thread.
        """
        if self._closed:
            raise RuntimeError(f"the threads of {self._name} have ended")
        result: _Result[T] = _Result(loop=asyncio.get_running_loop())
        self._under_way += 1
        if self._under_way > len(self._threads) < self._count:
            self._start()
        self._calls.put(_Call(partial(function, *args, **kwargs), result))
        try:
            return await result
        finally:
            self._under_way -= 1

    def close(self) -> None:
        """
        Wait for the calls under way and end the threads.
        """
        self._closed = True
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            thread.join()

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, name=f"{self._name}_{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call.make()
            del call  # and with it whatever it held
