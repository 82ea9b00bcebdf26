"""
The protocol that stands in for HTTP while content comes, without a connection.
"""

from __future__ import annotations

import asyncio
import random

import pytest
from uvicorn.protocols.http.flow_control import FlowControl

from holdfast.service.asgi.receiving.buffers import LARGE, LITTLE, SMALL, Buffers
from holdfast.service.server.receiver import Receiver

KiB = 1024


class Transport(asyncio.Transport):
    """One that only knows whether it reads."""

    reading = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Host:
    """An HTTP protocol that remembers what it was told."""

    def __init__(self) -> None:
        self.transport = Transport()
        self.flow = FlowControl(self.transport)
        self.told: list[str] = []

    def content_came(self) -> None:
        self.told.append("content came")

    def eof_received(self) -> bool:
        self.told.append("eof")
        return False

    def connection_lost(self, _exc: Exception | None) -> None:
        self.told.append("lost")

    def pause_writing(self) -> None:
        self.told.append("pause writing")

    def resume_writing(self) -> None:
        self.told.append("resume writing")


class Sender:
    """A loop that receives into the buffers of a receiver."""

    def __init__(self, length: int, *, early: bytes = b"", budget: int = 64 * LARGE) -> None:
        self.host = Host()
        self.buffers = Buffers(budget)
        self.receiver = Receiver(self.host, self.buffers, bytearray(early), length - len(early))

    @property
    def reading(self) -> bool:
        return self.host.transport.reading

    def send(self, data: bytes, piece: int = 64 * KiB) -> int:
        """
        Send *data* as long as the receiver takes it, and return how much it took.
        """
        at = 0
        while at < len(data) and self.reading and "content came" not in self.host.told:
            buffer = self.receiver.get_buffer(-1)

            assert len(buffer)
            count = min(piece, len(buffer), len(data) - at)
            buffer[:count] = data[at : at + count]
            self.receiver.buffer_updated(count)
            at += count
        return at


def _taken(receiver: Receiver) -> bytes:
    return bytes(receiver.take())


async def test_not_beyond_the_content() -> None:
    """No buffer is longer than what remains of the content, and the last byte gives the connection back."""
    sender = Sender(10)
    first = len(sender.receiver.get_buffer(-1))
    sender.send(b"0123", 4)
    second = len(sender.receiver.get_buffer(-1))
    took = sender.send(b"456789GET / HTTP/1.1\r\n")

    assert (10, 6, 6) == (first, second, took)
    assert ["content came"] == sender.host.told
    assert (True, b"0123456789") == (sender.receiver.complete, _taken(sender.receiver))


async def test_little_content_keeps_no_buffer() -> None:
    """What little has come is held without a buffer, whoever shows one to it."""
    sender = Sender(LARGE)
    sender.send(b"x" * (LITTLE - 1), 1000)

    assert (0, LITTLE - 1) == (sender.buffers.lent, sender.receiver.held)
    assert b"x" * (LITTLE - 1) == _taken(sender.receiver)


async def test_much_content_keeps_its_buffer() -> None:
    """What comes beyond that keeps the buffer it came into, with what came before."""
    data = random.Random(1).randbytes(100 * KiB)
    sender = Sender(10 * LARGE, early=data[:1000])
    sender.send(data[1000:], 10_000)
    lent = sender.buffers.lent
    block = sender.receiver.take()

    assert LARGE == lent == sender.buffers.lent
    assert data == bytes(block)
    await_next = asyncio.ensure_future(sender.receiver.fill())
    await asyncio.sleep(0)

    assert 0 == sender.buffers.lent
    sender.receiver.interrupt()
    await await_next


async def test_early_content_is_a_block_by_itself() -> None:
    """When much had come before the hand-off, nothing more is read until it is taken."""
    sender = Sender(10 * LARGE, early=b"x" * LITTLE)

    assert (False, True) == (sender.reading, sender.receiver.is_ready)
    assert LITTLE == len(sender.receiver.take())
    assert (True, False) == (sender.reading, sender.receiver.is_ready)


async def test_two_buffers() -> None:
    """One buffer is filled while the other is lent; then the connection pauses until the other comes back."""
    sender = Sender(10 * LARGE)
    content = random.Random(1).randbytes(3 * LARGE)
    first = sender.send(content)
    reading_after_one = sender.reading
    block = sender.receiver.take()
    second = sender.send(content[first:])
    reading_after_two, lent = sender.reading, sender.buffers.lent

    assert (LARGE, LARGE, 2 * LARGE) == (first, second, lent)
    assert (False, False) == (reading_after_one, reading_after_two)
    assert content[:LARGE] == bytes(block)
    await sender.receiver.fill()
    assert content[LARGE : 2 * LARGE] == _taken(sender.receiver)
    assert (LARGE, True) == (sender.buffers.lent, sender.reading)


async def test_without_a_budget() -> None:
    """While the budget is used up content goes on, in little blocks."""
    sender = Sender(10 * LARGE, budget=SMALL - 1)
    content = random.Random(1).randbytes(100 * KiB)
    received = b""
    while len(received) < len(content):
        sender.send(content[len(received) + sender.receiver.held :])
        received += _taken(sender.receiver)

    assert content == received
    assert 0 == sender.buffers.lent


async def test_waiting() -> None:
    """Who waits is woken by a whole block, by the end, by an interruption and by a loss; an eager one by every byte."""
    sender = Sender(LARGE + 2)
    filling = asyncio.ensure_future(sender.receiver.fill())
    await asyncio.sleep(0)
    sender.send(b"x")
    await asyncio.sleep(0)

    assert not filling.done()
    sender.receiver.interrupt()
    await asyncio.wait_for(filling, 1)
    something = asyncio.ensure_future(sender.receiver.some())
    await asyncio.sleep(0)
    sender.send(b"x")
    await asyncio.wait_for(something, 1)
    ending = asyncio.ensure_future(sender.receiver.fill())
    await asyncio.sleep(0)
    sender.send(b"x" * (LARGE - 2))
    await asyncio.wait_for(ending, 1)
    sender.receiver.take()
    losing = asyncio.ensure_future(sender.receiver.fill())
    await asyncio.sleep(0)
    sender.receiver.connection_lost(None)
    await asyncio.wait_for(losing, 1)

    assert (True, False) == (sender.receiver.lost, sender.receiver.complete)


@pytest.mark.parametrize("taken", [False, True])
async def test_close_gives_everything_back(taken: bool) -> None:
    """A receiver that is closed has no buffer, reads nothing more, and bears what comes all the same."""
    sender = Sender(10 * LARGE)
    sender.send(b"x" * LARGE)
    if taken:
        sender.receiver.take()
        sender.send(b"x" * LARGE)
    sender.receiver.close()

    assert (0, False) == (sender.buffers.lent, sender.reading)
    sender.host.flow.resume_reading()
    assert 1000 == sender.send(b"x" * 1000)
    assert (0, 0) == (sender.buffers.lent, sender.receiver.held)


async def test_everything_else_is_told_to_http() -> None:
    """The HTTP protocol hears of the pressure to write, of an end of the other side, and of a loss."""
    sender = Sender(100)
    sender.receiver.pause_writing()
    sender.receiver.resume_writing()
    keeps_open = sender.receiver.eof_received()
    sender.receiver.connection_lost(None)

    assert ["pause writing", "resume writing", "eof", "lost"] == sender.host.told
    assert not keeps_open
