"""Runs blocking work on threads, and work that must not be abandoned halfway."""

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

# This many items take less than a millisecond or two.
MANY = 64
SECONDS = 1.0
INSIST = 0.1 * SECONDS
# Waking a thread, which then wakes the event loop, takes 40 µs.  Quicker calls are made on the loop, until one takes this long:
# then the disk is busy, and the loop avoids it for a while.  (A busy processor delays a call by less.)
QUICK = 0.025 * SECONDS
# That while is this many times as long as the call took: a slow disk costs the loop a fortieth of its time, however slow it is.
AVOIDS = 40


async def aside(function: Callable[[], T], *, size: int) -> T:
    """
    Return what *function* computes: on a thread if *size*, the number of items that it handles, is large.

    The interpreter switches threads every 5 ms, so other tasks wait no longer than that for a slot of thousands.
    """
    return await asyncio.to_thread(function) if size > MANY else function()


async def unbroken(work: Awaitable[T]) -> T:
    """Return what *work* returns; if the caller is cancelled, first wait until *work* has ended."""
    future = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        while not future.done():
            try:
                await asyncio.wait([future])
            except asyncio.CancelledError:
                continue  # cancelled again; the work still goes on
        if not future.cancelled():
            future.exception()  # retrieved, so that asyncio does not warn
        raise


async def together(*works: Coroutine[Any, Any, T]) -> list[T]:
    """Return what *works* return.  If one fails, or the caller is cancelled, the others end before that is raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        # Not `gather`, which raises before the others have ended.
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION) if tasks else (tasks, None)
        for task in done:
            task.result()
        return [task.result() for task in tasks]
    except BaseException:
        await ended(tasks)
        raise


async def ended(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel *tasks* and wait until all have ended; their errors are ignored."""
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await unbroken(asyncio.gather(*tasks, return_exceptions=True))


async def stopped(task: asyncio.Task[Any]) -> None:
    """Cancel a task that never ends by itself, and wait until it has ended; its error is ignored."""
    while not task.done():
        task.cancel()
        # `asyncio.wait_for` may swallow a cancellation that comes with its result (until Python 3.12).
        await asyncio.wait([task], timeout=INSIST)
    if not task.cancelled():
        task.exception()


class Result(asyncio.Future[T]):
    """The result of work that cannot be cancelled: a task that is cancelled while it waits notices that afterwards."""

    def cancel(self, msg: Any | None = None) -> bool:  # noqa: ANN401 - as in asyncio
        return False


class _Call:
    """A call, and its result."""

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
        except BaseException as error:  # noqa: BLE001 - it is raised to the caller
            self._error = error

    def settle(self) -> None:
        """Set the result, in the event loop."""
        if self._error is None:
            self.result.set_result(self._returned)
        else:
            self.result.set_exception(self._error)


class Pace:
    """Whether short calls are quick enough to be made on the event loop."""

    def __init__(self) -> None:
        self._slow_until = 0.0

    @property
    def is_quick(self) -> bool:
        """False for a while after a call that was not quick."""
        return time.monotonic() >= self._slow_until

    def timed(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return ``function(*args, **kwargs)``, and remember whether it was quick."""
        begun = time.monotonic()
        try:
            return function(*args, **kwargs)
        finally:
            ended = time.monotonic()
            if ended - begun > QUICK:
                self._slow_until = ended + AVOIDS * (ended - begun)


class Threads:
    """
    Runs blocking calls on threads of its own, so that a slow disk does not starve other executors.

    A thread cannot be cancelled, and its file descriptor and buffer must not be closed or reused meanwhile; so its result
    cannot be cancelled either.  A call costs a few microseconds, since there are many.
    """

    def __init__(self, name: str, count: int) -> None:
        self._name = name
        self._count = count
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._made: deque[_Call] = deque()
        """Calls whose results are not set yet."""
        self._under_way = 0
        self._closed = False
        self._pace = Pace()

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return ``function(*args, **kwargs)``, called on a thread."""
        return await self.begin(partial(function, *args, **kwargs) if args or kwargs else function)

    def begin(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """Call ``function()`` on a thread, and return the future of its result."""
        if self._closed:
            raise RuntimeError(f"the threads of {self._name} have ended")
        result: Result[T] = Result(loop=asyncio.get_running_loop())
        self._under_way += 1
        if self._under_way > len(self._threads) < self._count:
            self._start()
        self._calls.put(_Call(function, result))
        return result

    async def on_loop(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """
        Return ``function(*args, **kwargs)``, called on the event loop as long as such calls are quick.

        After a slow one, they are made on a thread for a while.
        """
        if self._pace.is_quick:
            return self._pace.timed(function, *args, **kwargs)
        return await self.run(function, *args, **kwargs)

    def close(self, patience: float | None = None) -> None:
        """End the threads after the calls under way; wait for at most *patience* seconds."""
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
            del call  # frees what it refers to
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        while self._made:
            self._under_way -= 1
            self._made.popleft().settle()
