"""
Renditions for whoever asks: from the shelf, or made once for all who ask at the same time.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from holdfast.service.images.default import default_picture
from holdfast.service.images.inspect import Content
from holdfast.service.images.pool import ANYBODY, Images
from holdfast.service.images.render import Rendered
from holdfast.service.images.rendition import Rendition
from holdfast.service.images.rendition_cache import RenditionCache
from holdfast.service.images.turns import Claimant


class Original(Protocol):
    """The attachment that renditions are made of."""

    async def read(self) -> Content:
        """
        Return its content, in blocks as a rule.
        """
        ...

    async def exists(self) -> bool:
        """
        Say whether it is there still, or was deleted meanwhile.
        """
        ...


@dataclass(slots=True)
class Making:
    """A rendition that is being made, and how many wait for it."""

    task: asyncio.Task[Rendered]
    waiters: int = 0


class Renditions:
    """Renditions of attachments, made by *images* and kept on *shelf*."""

    def __init__(self, images: Images, cache: RenditionCache) -> None:
        self._images = images
        self._cache = cache
        self._makings: dict[tuple[str, Rendition], Making] = {}

    async def get(self, key: str, rendition: Rendition, original: Original, by: Claimant = ANYBODY) -> Rendered:
        """
        Return a rendition of the attachment *key*.

        Who asks for the same at once shares the *original* of the first, even after that one was cancelled; reading it ends when
        nobody waits any more.  What it raises all of them get.

        :raises ImageRefused: the content is no image that this service shows
        :raises Busy: too many images of *by* are waiting
        """
        wanted = key, rendition
        making = self._makings.get(wanted)
        if making is None:
            making = self._makings[wanted] = Making(asyncio.create_task(self._made(key, rendition, original, by)))
        making.waiters += 1
        try:
            return await asyncio.shield(making.task)
        finally:
            making.waiters -= 1
            if not making.waiters:
                del self._makings[wanted]
                making.task.cancel()

    async def _made(self, key: str, rendition: Rendition, original: Original, by: Claimant) -> Rendered:
        """Return a rendition from the shelf, or make it and put it there."""
        kept = await self._cache.get(key, rendition)
        if kept is not None:
            return kept
        made = await self._images.render(original.read, rendition, by)
        await self._cache.put(key, rendition, made)
        if not await original.exists():
            # Whoever deleted it cleared the shelf, perhaps before this came there.
            await self._cache.remove(key)
        return made


class DefaultPictures:
    """
    Each size, drawn once and kept, one after another: so many sizes at once take one thread, and little memory.
    """

    def __init__(self) -> None:
        self._kept: dict[int, bytes] = {}
        self._drawing = asyncio.Lock()

    async def get(self, size: int) -> bytes:
        """
        Return the picture in a size; who asks while it is drawn waits for it.
        """
        if size not in self._kept:
            async with self._drawing:
                if size not in self._kept:
                    self._kept[size] = await asyncio.to_thread(default_picture, size)
        return self._kept[size]
