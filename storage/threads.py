"""
Bridges to work that must not be left half done.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# So many things are gone through in less than a millisecond or two.
MANY = 64
SECONDS = 1.0
INSIST = 0.1 * SECONDS
# A thread is woken, and wakes the event loop, in 40 µs.  What is quicker than that is made on the loop, until it takes this long;
# then the disk is busy with something, and the loop does not wait for it again so soon.  (A busy processor holds it up for less.)
QUICK = 0.025 * SECONDS
# It stays away so many times as long as it was held up: a slow disk costs it a fortieth of its time, however slow that is.
STAYS_AWAY = 40


async def aside(function: Callable[[], T], *, size: int) -> T:
    """
    Return what *function* computes, beside the event loop where it goes through many things: *size* of them.

    The interpreter changes threads every 5 ms; so others wait no longer than that for a slot of thousands.
    """
    return await asyncio.to_thread(function) if size > MANY else function()


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


class Result(asyncio.Future[T]):
    """
    What work comes to that cannot be cancelled any more: a task that is cancelled while it waits hears of it afterwards.
    """

    def cancel(self, msg: Any | None = None) -> bool:  # noqa: ANN401 - as in asyncio
        return False


class _Call:
    """A call that is to be made, and what came of it."""

    __slots__ = ("_error", "_function", "_returned", "result")

    def __init__(self, function: Callable[[], Any], result: Result[Any]) -> None:
        self._function = function
        self._returned: Any = None
        self._error: BaseException | None = None
        self.result = result

    def make(self) -> None:
        """Make the call, on this thread."""
        try:
            self._returned = self._function()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised again where it is waited for
            self._error = error

    def settle(self) -> None:
        """Tell who waits, in the event loop."""
        if self._error is None:
            self.result.set_result(self._returned)
        else:
            self.result.set_exception(self._error)


class Pace:
    """
    Whether short calls are quick enough to be made on the event loop.
    """

    def __init__(self) -> None:
        self._slow_until = 0.0

    @property
    def is_quick(self) -> bool:
        """False for a while after a call that was not quick."""
        return time.monotonic() >= self._slow_until

    def timed(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """
        Return ``function(*args, **kwargs)``, and remember whether it was quick.
        """
        begun = time.monotonic()
        try:
            return function(*args, **kwargs)
        finally:
            ended = time.monotonic()
            if ended - begun > QUICK:
                self._slow_until = ended + STAYS_AWAY * (ended - begun)


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
        self._made: deque[_Call] = deque()
        """Calls whose callers have not been told."""
        self._under_way = 0
        self._closed = False
        self._pace = Pace()

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """
        Return ``function(*args, **kwargs)``, called on a thread.
        """
        return await self.begin(partial(function, *args, **kwargs) if args or kwargs else function)

    def begin(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """
        Call ``function()`` on a thread, and return what will be its result.
        """
        if self._closed:
            raise RuntimeError(f"the threads of {self._name} have ended")
        result: Result[T] = Result(loop=asyncio.get_running_loop())
        self._under_way += 1
        if self._under_way > len(self._threads) < self._count:
            self._start()
        self._calls.put(_Call(function, result))
        return result

    async def nearby(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """
        Return ``function(*args, **kwargs)``, called here, on the event loop, as long as such calls are quick.

        After one that was not, they are made on a thread for a while.
        """
        if self._pace.is_quick:
            return self._pace.timed(function, *args, **kwargs)
        return await self.run(function, *args, **kwargs)

    def close(self, patience: float | None = None) -> None:
        """
        Wait for the calls under way and end the threads; after *patience* seconds what still waits is left behind.
        """
        self._closed = True
        for _ in self._threads:
            self._calls.put(None)
        until = None if patience is None else time.monotonic() + patience
        for thread in self._threads:
            thread.join(None if until is None else max(0, until - time.monotonic()))

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, name=f"{self._name}_{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call.make()
            self._made.append(call)
            loop = call.result.get_loop()
            del call  # and with it whatever it held
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        while self._made:
            self._under_way -= 1
            self._made.popleft().settle()
