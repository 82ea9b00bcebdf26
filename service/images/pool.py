"""
Images off the event loop.

Pillow lets other threads run while it decodes, resizes and encodes.  Each image may take hundreds of megabytes meanwhile, so few
are worked on at once, and of each claimant few may wait.  Whoever waits holds a place and nothing else: content is read when its
turn has come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import BinaryIO, Concatenate, ParamSpec, TypeVar

from service.images.errors import Busy
from service.images.inspect import ImageFacts, inspect
from service.images.limits import ImageLimits
from service.images.memory import give_back
from service.images.render import Rendered, render
from service.images.rendition import Rendition
from service.images.turns import Claimant, Turns

P = ParamSpec("P")
T = TypeVar("T")

ANYBODY = Claimant()

Content = bytes | BinaryIO
Read = Callable[[], Awaitable[Content]]
"""Returns the content of an image; what it raises, whoever asked for the image gets."""


class Images:
    """
    Inspects and renders images on *threads* threads of its own; of each claimant *waiting* more may wait for one.

    A thread cannot be cancelled.  A caller that is cancelled leaves at once; what it waited for does not begin any more, or goes
    on to its end unseen and has its place until then.
    """

    def __init__(self, limits: ImageLimits, *, threads: int = 2, waiting: int = 32) -> None:
        self._limits = limits
        self._turns = Turns(threads, each=threads + waiting)
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="images")
        self._taken = 0
        self._nobody = asyncio.Event()
        self._nobody.set()
        self._closed = False

    async def inspect(self, read: Read, by: Claimant = ANYBODY) -> ImageFacts:
        """
        Return what an image is.

        :raises ImageRefused: it is none that this service shows
        :raises Busy: too many of the same claimant are waiting, or this is closed
        """
        return await self._run(by, inspect, read, self._limits)

    async def render(self, read: Read, rendition: Rendition, by: Claimant = ANYBODY) -> Rendered:
        """
        Return an image in another size.

        :raises ImageRefused: it is none that this service shows
        :raises Busy: too many of the same claimant are waiting, or this is closed
        """
        return await self._run(by, render, read, rendition, self._limits)

    async def close(self) -> None:
        """
        Take no more, and wait for all that was taken.
        """
        self._closed = True
        await self._nobody.wait()
        await asyncio.to_thread(self._pool.shutdown)

    async def _run(
        self, by: Claimant, function: Callable[Concatenate[Content, P], T], read: Read, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Return what *function* returns, called on a thread."""
        if self._closed:
            raise Busy("no more images are taken")
        self._turns.claim(by)
        self._taken += 1
        self._nobody.clear()
        try:
            await self._turns.wait(by)
        except BaseException:
            self._leave(by)
            raise
        try:
            work: list[Callable[[], T]] = [partial(function, await read(), *args, **kwargs)]
            future = self._pool.submit(_worked, work)
        except BaseException:
            self._end(by)
            raise
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: _tell(loop, partial(self._end, by)))
        return await asyncio.wrap_future(future)

    def _end(self, by: Claimant) -> None:
        """Give a turn and its place to others."""
        self._turns.end(by)
        self._leave(by)

    def _leave(self, by: Claimant) -> None:
        """Give a place to others."""
        self._turns.leave(by)
        self._taken -= 1
        if not self._taken:
            self._nobody.set()


def _worked(work: list[Callable[[], T]]) -> T:
    """Return what the one function in *work* returns; the memory that it needed, its content too, is given back by then."""
    try:
        return work.pop()()
    finally:
        give_back()


def _tell(loop: asyncio.AbstractEventLoop, what: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the loop has ended, and nobody waits any more
        loop.call_soon_threadsafe(what)
