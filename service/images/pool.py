"""
Images off the event loop.

Pillow lets other threads run while it decodes, resizes and encodes.  Each image may take hundreds of megabytes meanwhile, so few
are worked on at once, one only of those that are large, and of each claimant few may wait.  Whoever waits holds a place and
nothing else: content is read when its turn has come, and again after others that are large.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any, TypeVar

from holdfast.service.images.errors import ImagesBusy
from holdfast.service.images.formats.outline import Outline
from holdfast.service.images.inspect import Content, ImageFacts, admitted, inspected
from holdfast.service.images.limits import ImageLimits, Mpx
from holdfast.service.images.memory import give_back
from holdfast.service.images.render import Rendered, rendered
from holdfast.service.images.rendition import Rendition
from holdfast.service.images.turns import Claimant, ImageTurns

T = TypeVar("T")
U = TypeVar("U")

ANYBODY = Claimant()
LARGE, LARGE_GIF = 16 * Mpx, 4 * Mpx
"""Pixels of a frame from which on an image is large: of such images one is decoded at once."""

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
        self._turns = ImageTurns(threads, each=threads + waiting)
        self._large = ImageTurns(1, each=1)
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
        return await self._run(by, read, inspected)

    async def render(self, read: Read, rendition: Rendition, by: Claimant = ANYBODY) -> Rendered:
        """
        Return an image in another size.

        :raises ImageRefused: it is none that this service shows
        :raises Busy: too many of the same claimant are waiting, or this is closed
        """
        return await self._run(by, read, partial(rendered, rendition=rendition))

    async def close(self) -> None:
        """
        Take no more, and wait for all that was taken.
        """
        self._closed = True
        await self._nobody.wait()
        await asyncio.to_thread(self._pool.shutdown)

    async def _run(self, by: Claimant, read: Read, decode: Callable[[Outline], T]) -> T:
        """Return what *decode* makes of an image that is admitted; both are done on a thread."""
        if self._closed:
            raise ImagesBusy("no more images are taken")
        self._turns.claim(by)
        self._taken += 1
        self._nobody.clear()
        work = _Work(self._pool)
        try:
            work.held.callback(self._leave, by)
            return await self._decoded(by, read, decode, work)
        finally:
            work.end()

    async def _decoded(self, by: Claimant, read: Read, decode: Callable[[Outline], T], work: _Work) -> T:
        turn = work.held.enter_context(ExitStack())
        image = await self._admitted(by, read, work, turn)
        images = [image]
        del image
        if _is_large(images[0]):
            is_next = self._large.is_free
            if not is_next:
                images.clear()  # and their content, while others are worked on
                turn.close()
            await self._large.wait(by)
            work.held.callback(self._large.end, by)
            if not is_next:
                images.append(await self._admitted(by, read, work, turn))
        return await work.do(decode, images)

    async def _admitted(self, by: Claimant, read: Read, work: _Work, turn: ExitStack) -> Outline:
        """Return how an image is built, and have a *turn*."""
        await self._turns.wait(by)
        turn.callback(self._turns.end, by)
        return await work.do(partial(admitted, limits=self._limits), [await read()])

    def _leave(self, by: Claimant) -> None:
        """Give a place to others."""
        self._turns.leave(by)
        self._taken -= 1
        if not self._taken:
            self._nobody.set()


class _Work:
    """What is done for one image on a thread, one after the other, and what is *held* until the last of it has ended."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._last: Future[Any] | None = None
        self.held = ExitStack()

    async def do(self, function: Callable[[U], T], argument: list[U]) -> T:
        """
        Return what *function* returns for the one *argument*, called on a thread, which takes it out of its list.
        """
        self._last = future = self._pool.submit(_worked, function, argument)
        return await asyncio.wrap_future(future)

    def end(self) -> None:
        """
        Give back what is held, at once or when the thread is free again.
        """
        if self._last is None or self._last.done():
            self.held.close()
            return
        loop = asyncio.get_running_loop()
        self._last.add_done_callback(lambda _: _tell(loop, self.held.close))


def _is_large(image: Outline) -> bool:
    frames = [frame.width * frame.height for frame in image.frames]
    return max([image.width * image.height, *frames]) > (LARGE_GIF if frames else LARGE)


def _worked(function: Callable[[U], T], argument: list[U]) -> T:
    """Return what *function* returns; the memory that it needed is given back by then."""
    try:
        return function(argument.pop())
    finally:
        give_back()


def _tell(loop: asyncio.AbstractEventLoop, what: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the loop has ended, and nobody waits any more
        loop.call_soon_threadsafe(what)
