"""
Decodes images off the event loop.

Pillow releases the interpreter while it decodes, resizes and encodes.  Each image may take hundreds of megabytes, so few are
worked on at once, only one of them large, and few of each claimant may wait.  A waiting request holds only its place: content
is read when its turn has come, and again if it had to wait for another large image.
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
"""Pixels of a frame from which on an image is large: only one such image is decoded at a time."""

Read = Callable[[], Awaitable[Content]]
"""Returns the content of an image; what it raises is raised to the caller."""


class Images:
    """
    Inspects and renders images on *threads* threads of its own; *waiting* more images of each claimant may wait.

    A thread cannot be cancelled.  A cancelled caller returns at once; its work is not begun any more, or runs to its end and
    keeps its place until then.
    """

    def __init__(self, limits: ImageLimits, *, threads: int = 2, waiting: int = 32) -> None:
        self._limits = limits
        self._turns = ImageTurns(threads, each=threads + waiting)
        self._large = ImageTurns(1, each=1)
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="images")
        self._taken = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    async def inspect(self, read: Read, by: Claimant = ANYBODY) -> ImageFacts:
        """
        Return the facts of an image.

        :raises ImageRefused: this service does not show the content as an image
        :raises ImagesBusy: too many images of the claimant are waiting, or the pool is closed
        """
        return await self._run(by, read, inspected)

    async def render(self, read: Read, rendition: Rendition, by: Claimant = ANYBODY) -> Rendered:
        """
        Return an image in another size.

        :raises ImageRefused: this service does not show the content as an image
        :raises ImagesBusy: too many images of the claimant are waiting, or the pool is closed
        """
        return await self._run(by, read, partial(rendered, rendition=rendition))

    async def close(self) -> None:
        """Accept no more images, and wait for those that were accepted."""
        self._closed = True
        await self._idle.wait()
        await asyncio.to_thread(self._pool.shutdown)

    async def _run(self, by: Claimant, read: Read, decode: Callable[[Outline], T]) -> T:
        """Return the result of *decode* for an admitted image; both run on a thread."""
        if self._closed:
            raise ImagesBusy("no more images are accepted: the service shuts down")
        self._turns.claim(by)
        self._taken += 1
        self._idle.clear()
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
                images.clear()  # frees the content while other images are worked on
                turn.close()
            await self._large.wait(by)
            work.held.callback(self._large.end, by)
            if not is_next:
                images.append(await self._admitted(by, read, work, turn))
        return await work.do(decode, images)

    async def _admitted(self, by: Claimant, read: Read, work: _Work, turn: ExitStack) -> Outline:
        """Wait for a *turn*, and return the outline of the image."""
        await self._turns.wait(by)
        turn.callback(self._turns.end, by)
        return await work.do(partial(admitted, limits=self._limits), [await read()])

    def _leave(self, by: Claimant) -> None:
        """Free a place."""
        self._turns.leave(by)
        self._taken -= 1
        if not self._taken:
            self._idle.set()


class _Work:
    """The work for one image, on a thread, and what is *held* until the last of it has ended."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._last: Future[Any] | None = None
        self.held = ExitStack()

    async def do(self, function: Callable[[U], T], argument: list[U]) -> T:
        """Call *function* on a thread with the only member of *argument*, which is taken out of the list; return the result."""
        self._last = future = self._pool.submit(_worked, function, argument)
        return await asyncio.wrap_future(future)

    def end(self) -> None:
        """Release what is held, at once or once the thread is done."""
        if self._last is None or self._last.done():
            self.held.close()
            return
        loop = asyncio.get_running_loop()
        self._last.add_done_callback(lambda _: _call_in(loop, self.held.close))


def _is_large(image: Outline) -> bool:
    frames = [frame.width * frame.height for frame in image.frames]
    return max([image.width * image.height, *frames]) > (LARGE_GIF if frames else LARGE)


def _worked(function: Callable[[U], T], argument: list[U]) -> T:
    """Return what *function* returns, after its memory was returned to the system."""
    try:
        return function(argument.pop())
    finally:
        give_back()


def _call_in(loop: asyncio.AbstractEventLoop, what: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(what)
