"""
Content as blocks, from whatever messages a server has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from holdfast.service.asgi.receiving.buffers import LARGE as BLOCK
from holdfast.service.asgi.receiving.buffers import Buffers
from holdfast.service.asgi.receiving.connection import EXTENSION
from holdfast.service.asgi.receiving.content import RequestContent
from holdfast.service.asgi.receiving.timers import ReceiveTimers
from holdfast.service.core.content.content import Stop
from tests.asgi.wire import Wire, scope

LONG = 60.0  # seconds
KiB = 1024


class ConnectionExtension:
    """
    What a server offers besides ASGI, here with *data* that it has received and not delivered.
    """

    def __init__(self, data: bytes = b"", *, complete: bool = False, has_all: bool = False) -> None:
        self.on_shutdown: Callable[[], None] | None = None
        self.has_all = has_all
        self._data = data
        self._complete = complete

    def remains(self) -> tuple[bytes, bool]:
        """
        Return it once.
        """
        data, self._data = self._data, b""
        return data, self._complete

    def hand_over(self, _length: int, _buffers: Buffers) -> None:
        """
        Keep the connection.
        """


def _content(
    wire: Wire, *, length: int | None = None, idle_timeout: float = LONG, extension: ConnectionExtension | None = None
) -> RequestContent:
    extensions = {} if extension is None else {EXTENSION: extension}
    return RequestContent(
        scope("PATCH", "/", extensions=extensions), wire.receive, length, ReceiveTimers(idle_timeout=idle_timeout)
    )


async def _read_all(content: RequestContent, limit: int = BLOCK) -> list[bytes]:
    blocks = []
    while block := await content.read(limit):
        blocks.append(bytes(block))
    return blocks


async def test_no_content() -> None:
    """A request without content has ended before it begins, and nobody is asked for it."""
    wire = Wire()
    content = _content(wire, length=0)

    assert await _read_all(content) == []
    assert (True, None, False) == (content.ended, content.stopped, content.asked)


async def test_messages_become_blocks() -> None:
    """Small messages are gathered to blocks of a size worth a system call."""
    wire = Wire()
    for _ in range(0, 2 * BLOCK + 64 * KiB, 64 * KiB):
        wire.content(b"x" * 64 * KiB)
    wire.content(more=False)
    content = _content(wire)
    blocks = await _read_all(content)

    assert [BLOCK, BLOCK, 64 * KiB] == [len(block) for block in blocks]
    assert content.ended


async def test_large_messages_become_blocks() -> None:
    """A message larger than a block is given out in blocks, in its order."""
    data = bytes(range(256)) * (5 * KiB)
    wire = Wire()
    wire.content(data, more=False)
    content = _content(wire)
    blocks = await _read_all(content)

    assert {BLOCK} >= {len(block) for block in blocks[:-1]}
    assert b"".join(blocks) == data
    assert content.ended


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
async def test_limit(limit: int) -> None:
    """No read gives more than its limit, and nothing is lost at the limits."""
    wire = Wire()
    wire.content(b"0123")
    wire.content(b"456789", more=False)
    content = _content(wire)
    blocks = await _read_all(content, limit)

    assert max(len(block) for block in blocks) <= limit
    assert b"".join(blocks) == b"0123456789"


async def test_ended_is_after_the_last_byte() -> None:
    """Content has ended when all of it was read, and not before."""
    wire = Wire()
    wire.content(b"0123456789", more=False)
    content = _content(wire)
    await content.read(9)
    before = content.ended
    await content.read(9)

    assert (False, True) == (before, content.ended)


async def test_empty_messages() -> None:
    """Messages without bytes are no end."""
    wire = Wire()
    for data in (b"", b"1", b"", b"", b"2"):
        wire.content(data)
    wire.content(more=False)

    assert await _read_all(_content(wire)) == [b"12"]


@pytest.mark.parametrize("why", list(Stop))
async def test_stop_while_waiting_for_the_client(why: Stop) -> None:
    """A stop ends the wait for the client at once, after the bytes that are here."""
    wire = Wire()
    wire.content(b"012")
    content = _content(wire)
    reading = asyncio.ensure_future(_read_all(content))
    await wire.idle()
    content.stop(why)

    assert await asyncio.wait_for(reading, 0.5) == [b"012"]
    assert (False, why) == (content.ended, content.stopped)


async def test_stop_while_the_store_works() -> None:
    """A stop while nobody waits for the client interrupts nothing; what was on its way is read, then it is over."""
    wire = Wire()
    wire.content(b"x" * BLOCK)
    content = _content(wire)
    await content.read(BLOCK)

    async def store() -> bool:
        await asyncio.sleep(0.01)
        return True

    storing = asyncio.ensure_future(store())
    content.stop(Stop.EVICTED)
    wire.content(b"more")

    assert await storing
    assert await _read_all(content) == [b"more"]
    assert Stop.EVICTED is content.stopped


async def test_bytes_that_did_not_fit_are_kept_at_a_stop() -> None:
    """What was received before the stop is given out after it, to the last byte."""
    wire = Wire()
    wire.content(b"x" * (2 * BLOCK + 5))
    content = _content(wire)
    await content.read(BLOCK)
    content.stop(Stop.EVICTED)

    assert sum(len(block) for block in await _read_all(content)) == BLOCK + 5


async def test_first_reason_counts() -> None:
    """The first reason to stop is the reason."""
    content = _content(Wire())
    content.stop(Stop.EVICTED)
    content.stop(Stop.SHUTDOWN)

    assert await _read_all(content) == []
    assert Stop.EVICTED is content.stopped


async def test_stop_after_the_end() -> None:
    """Content that came whole was not stopped, whatever comes after."""
    wire = Wire()
    wire.content(b"012", more=False)
    content = _content(wire)
    await _read_all(content)
    content.stop(Stop.EVICTED)

    assert (True, None) == (content.ended, content.stopped)


async def test_disconnect() -> None:
    """When the client goes away, what came is given out, and the content has not ended."""
    wire = Wire()
    wire.content(b"012")
    wire.leave()
    content = _content(wire)

    assert await _read_all(content) == [b"012"]
    assert (False, Stop.DISCONNECTED) == (content.ended, content.stopped)


@pytest.mark.parametrize("size", [1, BLOCK, BLOCK + 1, 3 * BLOCK])
async def test_disconnect_with_remains(size: int) -> None:
    """What the server had received when the client went away is given out too."""
    wire = Wire()
    wire.content(b"012")
    wire.leave()
    content = _content(wire, extension=ConnectionExtension(b"x" * size))
    blocks = await _read_all(content)

    assert b"".join(blocks) == b"012" + b"x" * size
    assert (False, Stop.DISCONNECTED) == (content.ended, content.stopped)


async def test_remains_that_are_the_end() -> None:
    """Where what remained is the end of the content, nothing was cut."""
    wire = Wire()
    wire.leave()
    content = _content(wire, extension=ConnectionExtension(b"345", complete=True))

    assert await _read_all(content) == [b"345"]
    assert (True, None) == (content.ended, content.stopped)


async def test_what_came_with_the_head() -> None:
    """Content that has come whole before anybody asks is read without a message, in blocks of the size that is asked for."""
    content = _content(Wire(), length=3, extension=ConnectionExtension(b"345", complete=True, has_all=True))

    assert [b"34", b"5"] == await _read_all(content, 2)
    assert (True, None) == (content.ended, content.stopped)


async def test_shutdown() -> None:
    """When the server begins to end, content ends with what came."""
    wire = Wire()
    wire.content(b"012")
    extension = ConnectionExtension(b"345")
    content = _content(wire, extension=extension)
    reading = asyncio.ensure_future(_read_all(content))
    await wire.idle()

    assert extension.on_shutdown is not None
    extension.on_shutdown()
    assert b"".join(await asyncio.wait_for(reading, 0.5)) == b"012345"
    assert Stop.SHUTDOWN is content.stopped


async def test_cancellation_from_outside() -> None:
    """Who cancels the task that reads cancels it; the content swallows nothing but its own interruptions."""
    wire = Wire()
    content = _content(wire)
    reading = asyncio.ensure_future(_read_all(content))
    await wire.idle()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading

    assert content.stopped is None


@pytest.mark.parametrize("first", ["stop", "cancel"])
async def test_cancellation_beside_a_stop(first: str) -> None:
    """A cancellation from outside gets through, though the content is stopped in the same moment."""
    wire = Wire()
    content = _content(wire)
    reading = asyncio.ensure_future(_read_all(content))
    await wire.idle()
    if first == "stop":
        content.stop(Stop.EVICTED)
    reading.cancel()
    content.stop(Stop.EVICTED)
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_timeout_from_outside() -> None:
    """A time limit around a read works, and the content goes on afterwards."""
    wire = Wire()
    content = _content(wire)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await content.read(BLOCK)
    wire.content(b"012", more=False)

    assert await _read_all(content) == [b"012"]


async def test_stopped_task_is_not_cancelled() -> None:
    """After a stop the task goes on as if it had never been interrupted."""
    wire = Wire()
    content = _content(wire)

    async def work() -> int:
        await content.read(BLOCK)
        await asyncio.sleep(0)
        task = asyncio.current_task()
        return -1 if task is None else task.cancelling()

    working = asyncio.ensure_future(work())
    await wire.idle()
    content.stop(Stop.EVICTED)

    assert await asyncio.wait_for(working, 0.5) == 0


async def test_discard() -> None:
    """Content that nobody wants is read away up to a limit."""
    wire = Wire()
    for _ in range(10):
        wire.content(b"x" * 10)
    wire.content(more=False)
    little, all_of_it = _content(wire), _content(wire)
    await little.discard(25, 1)
    left = little.ended
    await all_of_it.discard(1000, 1)

    assert (False, True) == (left, all_of_it.ended)


async def test_discard_does_not_wait_long() -> None:
    """A client that does not send is not waited for longer than told, and one that left not at all."""
    waiting, gone = Wire(), Wire()
    gone.leave()
    await asyncio.wait_for(_content(waiting).discard(100, 0.05), 0.5)
    await asyncio.wait_for(_content(gone).discard(100, 60), 0.5)

    assert waiting.sent == gone.sent == []


async def test_close() -> None:
    """A content that is closed leaves nothing behind at the server's door, and wakes nobody up."""
    extension = ConnectionExtension()
    wire = Wire()
    wire.content(b"012", more=False)
    content = _content(wire, extension=extension)
    await _read_all(content)
    content.close()

    assert extension.on_shutdown is None
