"""
How long content waits for its client, and what becomes of what a slow one sends.
"""

from __future__ import annotations

import asyncio

import pytest

from holdfast.service.asgi.receiving.buffers import LARGE
from holdfast.service.asgi.receiving.content import LINGER, RequestContent
from holdfast.service.asgi.receiving.timers import ReceiveTimers
from holdfast.service.core.content.content import Stop
from tests.asgi.wire import Wire, scope

LONG = 60.0  # seconds


def _content(wire: Wire, *, idle_timeout: float = LONG, min_rate: int = 0) -> RequestContent:
    return RequestContent(scope("PATCH", "/"), wire.receive, None, ReceiveTimers(idle_timeout=idle_timeout, min_rate=min_rate))


async def _read_all(content: RequestContent) -> list[bytes]:
    blocks = []
    while block := await content.read(LARGE):
        blocks.append(bytes(block))
    return blocks


async def test_idle() -> None:
    """Content that does not come on ends as idle, with the bytes that came."""
    wire = Wire()
    wire.content(b"012")
    content = _content(wire, idle_timeout=0.1)

    assert await asyncio.wait_for(_read_all(content), 5) == [b"012"]
    assert (False, Stop.IDLE) == (content.ended, content.stopped)


async def test_slow_is_not_idle() -> None:
    """Content that comes slowly, but comes, does not end."""
    wire = Wire()
    content = _content(wire, idle_timeout=1.5)
    reading = asyncio.ensure_future(_read_all(content))
    for _ in range(3):
        wire.content(b"x")
        await asyncio.sleep(0.8)
    wire.content(more=False)

    assert b"".join(await reading) == b"xxx"
    assert (True, None) == (content.ended, content.stopped)


async def test_linger() -> None:
    """Bytes of a slow client are passed on after a while, though their block is not full, and the content goes on."""
    wire = Wire()
    wire.content(b"012")
    content = _content(wire)
    first = bytes(await asyncio.wait_for(content.read(LARGE), 5))
    wire.content(b"345", more=False)
    rest = await _read_all(content)

    assert (b"012", [b"345"]) == (first, rest)
    assert (True, None) == (content.ended, content.stopped)


async def test_pauses_do_not_make_content_less_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Content that does not come on ends as idle, though whoever reads it had time for other things in between."""
    monkeypatch.setattr(ReceiveTimers, "check_every", 0.01)
    content = _content(Wire(), idle_timeout=0.35)
    pauses = 0
    while content.stopped is None and pauses < 100:
        await asyncio.wait_for(content.read(LARGE), 5)
        pauses += 1

    assert Stop.IDLE is content.stopped
    assert 4 == pauses


async def test_too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Content that comes on, but at less than the rate that is asked for, ends as idle, with the bytes that came."""
    monkeypatch.setattr(ReceiveTimers, "check_every", 0.01)
    wire = Wire()
    content = _content(wire, idle_timeout=0.2, min_rate=1000)

    async def read() -> bytes:
        received = b""
        while content.stopped is None:
            received += await content.read(LARGE)
        return received

    reading = asyncio.ensure_future(read())
    sent = 0
    while not reading.done() and sent < 200:
        wire.content(b"x")
        sent += 1
        await asyncio.sleep(0.02)

    assert sent < 200  # it did not end because nothing more came
    assert sent - 1 <= len(await reading) <= sent
    assert Stop.IDLE is content.stopped


async def test_fast_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Content that comes at more than that rate goes on, however long it takes."""
    monkeypatch.setattr(ReceiveTimers, "check_every", 0.01)
    wire = Wire()
    content = _content(wire, idle_timeout=0.1, min_rate=1000)
    reading = asyncio.ensure_future(_read_all(content))
    for _ in range(30):
        wire.content(b"x" * 100)
        await asyncio.sleep(0.02)
    wire.content(more=False)

    assert 3000 == len(b"".join(await reading))
    assert None is content.stopped


async def test_linger_while_more_comes() -> None:
    """Bytes of a client that sends little, but without a pause, are passed on after a few looks, long before a block is full."""
    wire = Wire()
    content = _content(wire)
    reading = asyncio.ensure_future(content.read(LARGE))
    were_early = []
    for _ in range(LINGER):
        were_early.append(reading.done())
        wire.content(b"x")
        await wire.idle()
        content.check()

    assert b"x" * LINGER == bytes(await asyncio.wait_for(reading, 5))
    assert [False] * LINGER == were_early


async def test_an_idle_client_is_waited_for_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Content that ended as idle is not drained: nothing was on its way."""
    monkeypatch.setattr("holdfast.service.asgi.receiving.content.DRAIN_WAIT", LONG)
    wire = Wire()
    content = _content(wire)
    reading = asyncio.ensure_future(content.read(LARGE))
    await wire.idle()
    content.stop(Stop.IDLE)

    assert b"" == bytes(await asyncio.wait_for(reading, 5))
