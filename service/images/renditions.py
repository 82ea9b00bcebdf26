"""
Returns renditions from the cache, or makes each once for all callers that ask at the same time.
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
        """Return its content, normally in blocks."""
        ...

    async def exists(self) -> bool:
        """Say whether it still exists."""
        ...


@dataclass(slots=True)
class Making:
    """A rendition that is being made, and the number of callers that wait for it."""

    task: asyncio.Task[Rendered]
    waiters: int = 0


class Renditions:
    """Renditions of attachments, made by *images* and kept in *cache*."""

    def __init__(self, images: Images, cache: RenditionCache) -> None:
        self._images = images
        self._cache = cache
        self._makings: dict[tuple[str, Rendition], Making] = {}

    async def get(self, key: str, rendition: Rendition, original: Original, by: Claimant = ANYBODY) -> Rendered:
        """
        Return a rendition of the attachment *key*.

        Callers that ask for the same rendition at the same time share the *original* of the first, even after that was
        cancelled. When the last is cancelled, reading ends.  All of them get the same error.

        :raises ImageRefused: this service does not show the content as an image
        :raises ImagesBusy: too many images of *by* are waiting
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
        """Return a rendition from the cache, or make it and keep it there."""
        kept = await self._cache.get(key, rendition)
        if kept is not None:
            return kept
        made = await self._images.render(original.read, rendition, by)
        await self._cache.put(key, rendition, made)
        if not await original.exists():
            # The deletion removed the renditions, perhaps before this one was kept.
            await self._cache.remove(key)
        return made


class DefaultPictures:
    """Default pictures, each size drawn once and kept; they are drawn one at a time, with one thread and little memory."""

    def __init__(self) -> None:
        self._kept: dict[int, bytes] = {}
        self._drawing = asyncio.Lock()

    async def get(self, size: int) -> bytes:
        """Return the picture in a size (pixels); callers wait while it is drawn."""
        if size not in self._kept:
            async with self._drawing:
                if size not in self._kept:
                    self._kept[size] = await asyncio.to_thread(default_picture, size)
        return self._kept[size]
