"""
What those who ask for renditions get, and how often it is made for them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from holdfast.service.images import renditions as module
from holdfast.service.images.errors import ImagesBusy, NotAnImage
from holdfast.service.images.pool import Images
from holdfast.service.images.render import render
from holdfast.service.images.rendition import Rendition
from holdfast.service.images.rendition_cache import RenditionCache
from holdfast.service.images.renditions import DefaultPictures, Renditions
from tests.images.pictures import LIMITS, png
from tests.images.test_pool import Held, happened, reading

# Who waits for somebody that never comes fails soon.
pytestmark = pytest.mark.timeout(60)

KEY = "Ab34567890"
SMALL = Rendition(width=3)
EXPECTED = render(png(), SMALL, LIMITS)


class Gone(Exception):
    """The content is not there any more."""


class Source:
    """Content that is read when it is let go, and how often it was asked for; *is_there* until it is deleted."""

    def __init__(self, content: bytes | Exception, *, held: bool = False) -> None:
        self.content = content
        self.asked = 0
        self.ended = 0
        self.is_there = True
        self.free = asyncio.Event()
        if not held:
            self.free.set()

    async def read(self) -> bytes:
        """Return the content, or raise."""
        self.asked += 1
        try:
            await self.free.wait()
        finally:
            self.ended += 1
        if isinstance(self.content, Exception):
            raise self.content
        return self.content

    async def exists(self) -> bool:
        """Say whether it was not deleted."""
        return self.is_there


@pytest.fixture
def cache(tmp_path: Path) -> RenditionCache:
    """Return an empty shelf."""
    return RenditionCache(str(tmp_path / "renditions"))


@pytest.fixture
async def images() -> AsyncIterator[Images]:
    """Return a pool of one thread, where none may wait: two renderings at once are refused."""
    images = Images(LIMITS, threads=1, waiting=0)
    yield images
    await images.close()


@pytest.fixture
def renditions(images: Images, cache: RenditionCache) -> Renditions:
    """Return what is tested."""
    return Renditions(images, cache)


async def asked(source: Source) -> None:
    """Wait until the content is asked for."""
    async with asyncio.timeout(20):
        while not source.asked:
            await asyncio.sleep(0.001)


async def test_made_once(renditions: Renditions, images: Images, cache: RenditionCache) -> None:
    """A rendition is made, kept, and found again: by the next who asks, and by the next process."""
    source = Source(png())

    assert EXPECTED == await renditions.get(KEY, SMALL, source)
    assert EXPECTED == await renditions.get(KEY, SMALL, source)
    assert EXPECTED == await Renditions(images, cache).get(KEY, SMALL, source)
    assert EXPECTED == await cache.get(KEY, SMALL)
    assert 1 == source.asked


async def test_shared(renditions: Renditions) -> None:
    """Twenty who ask at once share one reading and one rendering."""
    source = Source(png(), held=True)
    tasks = [asyncio.create_task(renditions.get(KEY, SMALL, source)) for _ in range(20)]
    await asked(source)
    source.free.set()
    made = await asyncio.gather(*tasks)

    assert [EXPECTED] * 20 == made
    assert 1 == len({id(each) for each in made})
    assert 1 == source.asked


async def test_not_shared(images: Images, cache: RenditionCache) -> None:
    """Other renditions and other attachments are made for themselves."""
    renditions = Renditions(images, cache)
    source = Source(png())
    for key, rendition in ((KEY, SMALL), (KEY.lower(), SMALL), (KEY, Rendition(width=2))):
        assert rendition.width == (await renditions.get(key, rendition, source)).width

    assert 3 == source.asked


@pytest.mark.parametrize("who", [0, 1], ids=["the first", "another"])
async def test_one_leaves(renditions: Renditions, who: int) -> None:
    """Who leaves leaves at once, and the others get what they asked for."""
    source = Source(png(), held=True)
    tasks = [asyncio.create_task(renditions.get(KEY, SMALL, source)) for _ in range(3)]
    await asked(source)
    tasks[who].cancel()
    await asyncio.wait([tasks[who]])
    assert tasks[who].cancelled()
    source.free.set()

    assert [EXPECTED] * 2 == await asyncio.gather(*[task for task in tasks if task is not tasks[who]])
    assert 1 == source.asked


async def test_all_leave(renditions: Renditions) -> None:
    """When nobody waits any more the reading ends, and the next who asks begins anew."""
    source, later = Source(png(), held=True), Source(png())
    tasks = [asyncio.create_task(renditions.get(KEY, SMALL, source)) for _ in range(3)]
    await asked(source)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert EXPECTED == await renditions.get(KEY, SMALL, later)

    assert (1, 1) == (source.ended, later.asked)


async def test_raises(renditions: Renditions) -> None:
    """What reading raises all of them get, and the next who asks tries again."""
    source = Source(Gone(), held=True)
    tasks = [asyncio.create_task(renditions.get(KEY, SMALL, source)) for _ in range(20)]
    await asked(source)
    source.free.set()

    assert [source.content] * 20 == await asyncio.gather(*tasks, return_exceptions=True)
    assert 1 == source.asked
    assert EXPECTED == await renditions.get(KEY, SMALL, Source(png()))


async def test_raises_when_nobody_listens(renditions: Renditions, caplog: pytest.LogCaptureFixture) -> None:
    """An error that nobody waits for any more is nobody's error."""
    source = Source(Gone(), held=True)
    task = asyncio.create_task(renditions.get(KEY, SMALL, source))
    await asked(source)
    source.free.set()
    task.cancel()
    await asyncio.wait([task])
    await asyncio.sleep(0.01)

    assert task.cancelled()
    assert [] == caplog.records


async def test_refused(renditions: Renditions, cache: RenditionCache) -> None:
    """What is no image is refused, and not kept."""
    with pytest.raises(NotAnImage):
        await renditions.get(KEY, SMALL, Source(b"<svg/>"))

    assert await cache.get(KEY, SMALL) is None


async def test_deleted_meanwhile(renditions: Renditions, cache: RenditionCache) -> None:
    """What is deleted while a rendition of it is made leaves none on the shelf."""
    source = Source(png(), held=True)
    task = asyncio.create_task(renditions.get(KEY, SMALL, source))
    await asked(source)
    source.is_there = False
    await cache.remove(KEY)
    source.free.set()

    assert EXPECTED == await task
    assert await cache.get(KEY, SMALL) is None


async def test_busy(renditions: Renditions, images: Images) -> None:
    """Who finds all places taken is told so, and gets the rendition later."""
    held = Held()
    task = asyncio.create_task(images.inspect(reading(held)))
    await happened(held.begun)
    with pytest.raises(ImagesBusy):
        await renditions.get(KEY, SMALL, Source(png()))
    held.free.set()
    await task

    assert EXPECTED == await renditions.get(KEY, SMALL, Source(png()))


async def test_busy_shelf(renditions: Renditions, cache: RenditionCache, images: Images) -> None:
    """What is on the shelf needs no place in the pool."""
    await cache.put(KEY, SMALL, EXPECTED)
    held = Held()
    task = asyncio.create_task(images.inspect(reading(held)))
    await happened(held.begun)

    assert EXPECTED == await renditions.get(KEY, SMALL, Source(Gone()))
    held.free.set()
    await task


async def test_without_a_disk(images: Images, tmp_path: Path) -> None:
    """Without a disk renditions are made each time."""
    (tmp_path / "file").write_bytes(b"")
    renditions = Renditions(images, RenditionCache(str(tmp_path / "file")))
    source = Source(png())

    assert [EXPECTED] * 2 == [await renditions.get(KEY, SMALL, source) for _ in range(2)]
    assert 2 == source.asked


async def test_many_default_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each size is drawn once, one after another, whoever asks at the same time; the event loop goes on."""
    drawn: list[int] = []
    drawing: set[int] = set()

    def draw(size: int) -> bytes:
        drawn.append(size)
        drawing.add(size)
        assert {size} == drawing
        time.sleep(0.001)
        drawing.remove(size)
        return b"%d" % size

    monkeypatch.setattr(module, "default_picture", draw)
    pictures = DefaultPictures()
    found = await asyncio.gather(*[pictures.get(size) for size in [*range(1, 41)] * 2])

    assert [b"%d" % size for size in range(1, 41)] * 2 == found
    assert [*range(1, 41)] == sorted(drawn)
