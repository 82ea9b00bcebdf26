"""
What the pool promises: few at once, few waiting, nothing kept of who left, and an end.
"""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from io import BytesIO

import pytest
from PIL import Image

from holdfast.service.images import pool
from holdfast.service.images.errors import ImagesBusy, NotAnImage
from holdfast.service.images.formats.outline import Outline
from holdfast.service.images.inspect import Content, ImageFacts, inspected
from holdfast.service.images.limits import ImageLimits
from holdfast.service.images.pool import LARGE, Images, Read
from holdfast.service.images.rendition import Rendition
from holdfast.service.images.turns import Claimant
from tests.images.pictures import LIMITS, encoded, png

# Who waits for somebody that never comes fails soon.
pytestmark = pytest.mark.timeout(60)

PATIENCE = 20.0


class Held(BytesIO):
    """An image whose reading begins, and goes on when it is let go."""

    def __init__(self, content: bytes = b"") -> None:
        super().__init__(content or png())
        self.begun = threading.Event()
        self.free = threading.Event()

    def read(self, size: int | None = -1, /) -> bytes:
        """Wait, and read."""
        self.begun.set()
        assert self.free.wait(PATIENCE)
        return super().read(size)


def reading(content: Content) -> Read:
    """Return what reads *content*, at once."""

    async def read() -> Content:
        return content

    return read


async def happened(event: threading.Event) -> None:
    """Wait for what happens on a thread."""
    assert await asyncio.to_thread(event.wait, PATIENCE)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what no event tells."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.001)


@pytest.fixture
async def images() -> AsyncIterator[Images]:
    """Return a pool of one thread, where two may wait."""
    images = Images(LIMITS, threads=1, waiting=2)
    yield images
    await images.close()


async def test_results(images: Images) -> None:
    """Images are inspected and rendered as without the pool, and refused as without it."""
    assert 24 == (await images.inspect(reading(png()))).width
    assert 12 == (await images.render(reading(BytesIO(png())), Rendition(width=12))).width
    with pytest.raises(NotAnImage):
        await images.inspect(reading(b"<svg/>"))
    with pytest.raises(NotAnImage):
        await images.render(reading(b"<svg/>"), Rendition())


async def test_event_loop_goes_on(images: Images) -> None:
    """While an image is worked on, the event loop does other things."""
    held = Held()
    task = asyncio.create_task(images.inspect(reading(held)))
    await happened(held.begun)
    await asyncio.sleep(0)
    assert not task.done()
    held.free.set()

    assert 24 == (await task).width


async def test_bounds(images: Images) -> None:
    """One is worked on and two wait; the next is refused at once, and taken when there is a place again."""
    helds = [Held() for _ in range(3)]
    tasks = [asyncio.create_task(images.inspect(reading(held))) for held in helds]
    await happened(helds[0].begun)
    with pytest.raises(ImagesBusy):
        await images.inspect(reading(png()))
    with pytest.raises(ImagesBusy):
        await images.render(reading(png()), Rendition())
    assert [True, False, False] == [held.begun.is_set() for held in helds]

    for held in helds:
        held.free.set()
    assert [24] * 3 == [facts.width for facts in await asyncio.gather(*tasks)]
    assert 24 == (await images.inspect(reading(png()))).width


async def test_at_once() -> None:
    """As many are worked on at once as there are threads."""
    images = Images(LIMITS, threads=3, waiting=1)
    helds = [Held() for _ in range(4)]
    tasks = [asyncio.create_task(images.inspect(reading(held))) for held in helds]
    for held in helds[:3]:
        await happened(held.begun)
    assert not helds[3].begun.is_set()
    helds[1].free.set()
    await happened(helds[3].begun)
    for held in helds:
        held.free.set()
    await asyncio.gather(*tasks)
    await images.close()


async def test_refusals_free_their_place(images: Images) -> None:
    """However often an image is refused, the next one has its place."""
    for _ in range(10):
        with pytest.raises(NotAnImage):
            await images.inspect(reading(b"<svg/>"))

    assert 24 == (await images.inspect(reading(png()))).width


async def test_cancelled_while_waiting(images: Images) -> None:
    """Who leaves the queue gives the place away at once, and leaves no content behind."""
    first = Held()
    task = asyncio.create_task(images.inspect(reading(first)))
    await happened(first.begun)
    for _ in range(10):
        waiting = Held()
        waits = asyncio.create_task(images.inspect(reading(waiting)))
        await asyncio.sleep(0)
        waits.cancel()
        await asyncio.wait([waits])
        assert waits.cancelled()
        assert not waiting.begun.is_set()
        content = weakref.ref(waiting)
        del waiting, waits
        gc.collect()
        assert content() is None

    first.free.set()
    assert 24 == (await task).width


async def test_cancelled_while_worked_on(images: Images) -> None:
    """Who leaves while the image is worked on leaves at once; the place is free when the work is done."""
    helds = [Held() for _ in range(3)]
    tasks = [asyncio.create_task(images.inspect(reading(held))) for held in helds]
    await happened(helds[0].begun)
    tasks[0].cancel()
    await asyncio.wait(tasks[:1])
    assert tasks[0].cancelled()
    with pytest.raises(ImagesBusy):
        await images.inspect(reading(png()))

    helds[0].free.set()
    await happened(helds[1].begun)
    fourth = asyncio.create_task(images.inspect(reading(png())))
    for held in helds:
        held.free.set()
    assert [24] * 3 == [facts.width for facts in await asyncio.gather(*tasks[1:], fourth)]


async def test_who_waits_holds_no_content(images: Images) -> None:
    """Content is read when a thread is free for it, and not while others are worked on."""
    first, asked = Held(), list[int]()

    async def read() -> bytes:
        asked.append(len(asked))
        return png()

    task = asyncio.create_task(images.inspect(reading(first)))
    await happened(first.begun)
    waits = [asyncio.create_task(images.inspect(read)) for _ in range(2)]
    await asyncio.sleep(0.01)
    assert [] == asked

    first.free.set()
    assert [24] * 3 == [facts.width for facts in await asyncio.gather(task, *waits)]
    assert [0, 1] == asked


async def test_content_that_cannot_be_had(images: Images) -> None:
    """What reading raises is what the caller gets; the place is free again, also when the caller left."""

    async def broken() -> bytes:
        raise OSError("no disk")

    for _ in range(10):
        with pytest.raises(OSError, match="no disk"):
            await images.inspect(broken)
        waits = asyncio.create_task(images.inspect(asyncio.Event().wait))  # type: ignore[arg-type]  # it never comes
        await asyncio.sleep(0)
        waits.cancel()
        await asyncio.wait([waits])
        assert waits.cancelled()

    assert 24 == (await images.inspect(reading(png()))).width


async def test_close() -> None:
    """An end comes after all that was taken, and takes no more."""
    images = Images(LIMITS, threads=1, waiting=1)
    helds = [Held(), Held()]
    tasks = [asyncio.create_task(images.inspect(reading(held))) for held in helds]
    await happened(helds[0].begun)
    closing = asyncio.create_task(images.close())
    await asyncio.sleep(0.01)
    with pytest.raises(ImagesBusy):
        await images.inspect(reading(png()))
    assert not closing.done()
    for held in helds:
        held.free.set()
    await closing

    assert [24, 24] == [facts.width for facts in await asyncio.gather(*tasks)]
    await images.close()
    with pytest.raises(ImagesBusy):
        await images.render(reading(png()), Rendition())


async def test_close_ends_threads() -> None:
    """No thread is left behind."""
    before = threading.active_count()
    images = Images(LIMITS, threads=2, waiting=8)
    await asyncio.gather(*[images.inspect(reading(png())) for _ in range(10)])
    await images.close()

    await until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("images")])
    assert threading.active_count() <= before + 1  # close itself waits on a thread that asyncio keeps


async def test_others_are_next(images: Images) -> None:
    """While one claimant has all that it may have, others are taken, and come before the rest of it."""
    order: list[str] = []

    async def looks(name: str, content: Content, by: Claimant) -> None:
        await images.inspect(reading(content), by)
        order.append(name)

    first, flood, other = Held(), Claimant("1", "flood"), Claimant("1", "other")
    tasks = [asyncio.create_task(looks("first", first, flood))]
    await happened(first.begun)
    tasks += [asyncio.create_task(looks(name, png(), flood)) for name in ("second", "third")]
    await asyncio.sleep(0)
    with pytest.raises(ImagesBusy):
        await images.inspect(reading(png()), flood)
    tasks.append(asyncio.create_task(looks("other", png(), other)))
    await asyncio.sleep(0)
    first.free.set()
    await asyncio.gather(*tasks)

    assert ["first", "second", "other", "third"] == order


async def test_slow_images_leave_a_thread() -> None:
    """However many slow images one claimant sends, another one's is looked at meanwhile."""
    images = Images(LIMITS, threads=2, waiting=8)
    helds = [Held() for _ in range(3)]
    tasks = [asyncio.create_task(images.inspect(reading(held), Claimant("1", "slow"))) for held in helds]
    await happened(helds[0].begun)
    async with asyncio.timeout(PATIENCE):
        assert 24 == (await images.inspect(reading(png()), Claimant("1", "other"))).width
    assert [True, False, False] == [held.begun.is_set() for held in helds]
    for held in helds:
        held.free.set()
    await asyncio.gather(*tasks)
    await images.close()


class Reads:
    """Reads blocks, a list of its own each time."""

    def __init__(self, blocks: list[bytes]) -> None:
        self._blocks = blocks

    async def __call__(self) -> Content:
        """Return the blocks."""
        return list(self._blocks)


async def test_one_large_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of large images one is decoded at once, whoever sends them; small ones are meanwhile."""
    images = Images(ImageLimits(), threads=3, waiting=8)
    large = encoded(Image.new("L", (LARGE // 4000 + 1, 4000)), "PNG")
    begun, free, seen = threading.Semaphore(0), threading.Semaphore(0), list[int]()

    def decode(image: Outline) -> ImageFacts:
        seen.append(image.width)
        begun.release()
        assert image.width == 24 or free.acquire(timeout=PATIENCE)
        return inspected(image)

    monkeypatch.setattr(pool, "inspected", decode)
    read = Reads([large[:100], large[100:]])
    tasks = [asyncio.create_task(images.inspect(read, Claimant("1", who))) for who in ("kelp", "wrack", "kelp")]
    assert await asyncio.to_thread(begun.acquire, timeout=PATIENCE)
    await until(lambda: images._large._waiting != {})
    for _ in range(3):
        assert 24 == (await images.inspect(reading(png()), Claimant("1", "other"))).width
    assert [24] * 3 == [width for width in seen if width == 24]
    assert 1 == len(seen) - 3
    for _ in tasks:
        free.release()
    await asyncio.gather(*tasks)
    await images.close()
    assert 3 == len(seen) - 3
