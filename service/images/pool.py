"""
Images off the event loop.

Pillow lets other threads run while it decodes, resizes and encodes.  Each image may take hundreds of megabytes meanwhile, so few
are worked on at once and few may wait.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import BinaryIO, ParamSpec, TypeVar

from service.images.errors import Busy
from service.images.inspect import ImageFacts, inspect
from service.images.limits import ImageLimits
from service.images.render import Rendered, render
from service.images.rendition import Rendition

P = ParamSpec("P")
T = TypeVar("T")


class Images:
    """
    Inspects and renders images on *threads* threads of its own; *waiting* more may wait for one.

    A thread cannot be cancelled.  A caller that is cancelled leaves at once; what it waited for does not begin any more, or goes
    on to its end unseen and has its place until then.
    """

    def __init__(self, limits: ImageLimits, *, threads: int = 2, waiting: int = 32) -> None:
        self._limits = limits
        self._places = threading.Semaphore(threads + waiting)
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="images")
        self._closed = False

    async def inspect(self, content: bytes | BinaryIO) -> ImageFacts:
        """
        Return what an image is.

        :raises ImageRefused: it is none that this service shows
        :raises Busy: too many are waiting, or this is closed
        """
        return await self._run(inspect, content, self._limits)

    async def render(self, content: bytes | BinaryIO, rendition: Rendition) -> Rendered:
        """
        Return an image in another size.

        :raises ImageRefused: it is none that this service shows
        :raises Busy: too many are waiting, or this is closed
        """
        return await self._run(render, content, rendition, self._limits)

    async def close(self) -> None:
        """
        Take no more, and wait for all that was taken.
        """
        self._closed = True
        await asyncio.to_thread(self._pool.shutdown)

    async def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what *function* returns, called on a thread."""
        if self._closed:
            raise Busy("no more images are taken")
        if not self._places.acquire(blocking=False):
            raise Busy("too many images are waiting")
        # The pool keeps what was cancelled until a thread comes to it: the work, with all of its content, must be gone by then.
        work = [partial(function, *args, **kwargs)]
        future = self._pool.submit(lambda: work.pop()())  # noqa: PLW0108 - not before its turn

        def leave(_: Future[T]) -> None:
            work.clear()
            self._places.release()

        future.add_done_callback(leave)
        return await asyncio.wrap_future(future)
