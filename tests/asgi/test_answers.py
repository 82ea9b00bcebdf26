"""
Large answers share what is the same, and have a bound.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO

import pytest
from PIL import Image
from starlette.types import Message

from holdfast.service import app
from holdfast.service.asgi import answers
from holdfast.service.asgi.answers import BLOCK, LargeAnswers
from tests.asgi.wire import Wire, scope
from tests.protocols.service import Serve, Service

SIZE = 4 * BLOCK


def test_the_same_is_held_once() -> None:
    """Whoever is sent the same content as somebody else shares the copy of that one."""
    held = LargeAnswers(budget=2 * SIZE)
    all_of_them = [held.begin(held.shared(b"%d" % number + bytes(SIZE)), lambda: None) for number in [1] * 60]

    assert None not in all_of_them
    assert SIZE + 1 == held.held
    assert 1 == len({id(answer.content) for answer in all_of_them if answer is not None})


def test_bound() -> None:
    """Beyond the bound an answer is refused as long as the others may still be read; then there is room again."""
    held = LargeAnswers(budget=2 * SIZE)
    first, second = (held.begin(bytes([number]) * SIZE, lambda: None) for number in (1, 2))
    refused = held.begin(b"3" * SIZE, lambda: None)

    assert first is not None
    assert second is not None
    assert refused is None
    first.end()
    assert held.begin(b"3" * SIZE, lambda: None) is not None
    assert 2 * SIZE == held.held


def test_who_reads_nothing_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no room, the connection of the client that has read nothing for the longest time is cut."""
    held = LargeAnswers(budget=2 * SIZE)
    cut: list[int] = []
    for number in (1, 2):
        answer = held.begin(bytes([number]) * SIZE, lambda number=number: cut.append(number))  # type: ignore[misc]

        assert answer is not None
        next(answer.blocks())
    monkeypatch.setattr(answers, "STALLED", 0.0)

    assert held.begin(b"3" * SIZE, lambda: None) is not None
    assert [1] == cut


def test_one_alone_may_be_larger() -> None:
    """An answer that is larger than the bound is sent while there is no other."""
    assert LargeAnswers(budget=SIZE).begin(bytes(2 * SIZE), lambda: None) is not None


def test_blocks() -> None:
    """The blocks are the content, without a copy."""
    content = bytes(range(256)) * (SIZE // 256) + b"x"
    answer = LargeAnswers().begin(content, lambda: None)

    assert answer is not None
    blocks = list(answer.blocks())
    assert content == b"".join(blocks)
    assert all(block.obj is content for block in blocks)


@dataclass
class Reader(Wire):
    """A client that reads a block, and the rest when the test says so."""

    reads: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, message: Message) -> None:
        await super().send(message)
        if message.get("body"):
            await self.reads.wait()


async def large(service: Service) -> str:
    """Return the path of a picture whose rendition has several blocks: noise cannot be compressed."""
    picture, written = Image.effect_noise((600, 600), 250), BytesIO()
    picture.save(written, "PNG")
    return f"/.api2/binaries/{await service.photo(written.getvalue())}/thumbnails/a"


async def test_answers_that_nobody_reads(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an answer that is not read its connection has a block; the same is held once, and beyond the bound another is 503."""
    monkeypatch.setattr(app, "LargeAnswers", partial(LargeAnswers, budget=BLOCK))
    service = await serve()
    path, other = await large(service), await large(service)
    clients = [Reader() for _ in range(60)]
    tasks = [client.start(service.app, scope("GET", path)) for client in clients]
    await asyncio.gather(*(asyncio.wait_for(client.answered.wait(), 10) for client in clients))
    await asyncio.sleep(0)
    refused = await service.send("GET", other)

    assert [BLOCK] * 60 == [len(client.body) for client in clients]
    assert (503, "answers_waiting") == (refused.status_code, refused.json()["code"])

    for client in clients:
        client.reads.set()
    await asyncio.gather(*tasks)

    assert 1 == len({client.body for client in clients})
    assert int(clients[0].fields["content-length"]) == len(clients[0].body) > 2 * BLOCK
    assert 200 == (await service.send("GET", other)).status_code
