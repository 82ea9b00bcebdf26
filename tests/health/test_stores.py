"""
Who is told of stores that do not answer, when, and how often.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator

import pytest

from holdfast.service.core.errors import FinishFailed, OutOfSpace, StoreFailed
from holdfast.service.health.stores import PingPace, StoreHealth
from holdfast.service.stores import Stores
from holdfast.storage.errors import Corrupted, NoSpace, StorageError, Unavailable
from holdfast.storage.memory import MemoryByteStore, MemoryLeases, MemoryMetadataStore
from holdfast.storage.ports.content import Checkpoint, unrecorded
from holdfast.storage.records import Receipt, UploadRecord
from tests.protocols.service import Serve

QUICK = PingPace(bound=0.2, silence=0.4, again=0.01, remind=60)
TUS = {"Tus-Resumable": "1.0.0", "Upload-Length": "9"}


class Sky:
    """A store that answers, fails, or says nothing."""

    def __init__(self) -> None:
        self.trouble: Exception | None = None
        self.asked = 0
        self.speaks = asyncio.Event()
        self.speaks.set()

    async def ping(self) -> None:
        self.asked += 1
        await self.speaks.wait()
        if self.trouble is not None:
            raise self.trouble


class Skies:
    """Two stores in one place and one in another, and the weather over them."""

    def __init__(self, pace: PingPace = QUICK) -> None:
        self.records, self.leases, self.content = Sky(), Sky(), Sky()
        redis = {"metadata": self.records.ping, "leases": self.leases.ping}
        self.store_health = StoreHealth({"redis://a": redis, "s3://b": {"bytes": self.content.ping}}, pace)


@pytest.fixture
async def skies() -> AsyncIterator[Skies]:
    """Return stores that all answer."""
    skies = Skies()
    yield skies
    await skies.store_health.close()


@pytest.fixture(autouse=True)
def _everything(caplog: pytest.LogCaptureFixture) -> None:
    """Hear of everything that the log is told by default."""
    caplog.set_level(logging.INFO, "holdfast")


def failed(cause: StorageError, kind: type[StoreFailed | FinishFailed] = StoreFailed) -> Exception:
    """Return what a request ends with when a store raises *cause*."""
    error = kind("a store does not answer")
    error.__cause__ = cause
    return error


async def logged(caplog: pytest.LogCaptureFixture, count: int) -> list[str]:
    """Return what the log was told, once these are *count* lines."""
    async with asyncio.timeout(10):
        while len(caplog.messages) < count:
            await asyncio.sleep(0.01)
    return caplog.messages


async def test_an_outage_is_two_lines(skies: Skies, caplog: pytest.LogCaptureFixture) -> None:
    """It is told when it begins and when it is over, however many requests meet it, and however many stores are there."""
    skies.records.trouble = skies.leases.trouble = Unavailable("connection refused")
    for _ in range(100):
        skies.store_health.notice(failed(skies.records.trouble))
    await logged(caplog, 1)
    during = [await skies.store_health.ask() for _ in range(10)]
    skies.store_health.notice(failed(skies.records.trouble))
    await asyncio.sleep(0.05)
    skies.records.trouble = skies.leases.trouble = None
    said = await logged(caplog, 2)

    assert [{"metadata": False, "leases": False, "bytes": True}] * 10 == during
    assert ["redis://a does not answer: connection refused", "redis://a answers again, after 0 s"] == said
    assert not [entry for entry in caplog.records if entry.exc_info]
    assert {"metadata": True, "leases": True, "bytes": True} == await skies.store_health.ask()


async def test_a_look_finds_an_outage(skies: Skies, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever asks whether stores answer need not be a request that failed."""
    skies.content.trouble = Unavailable("no bucket")
    answers = await skies.store_health.ask()

    assert {"metadata": True, "leases": True, "bytes": False} == answers
    assert ["s3://b does not answer: no bucket"] == caplog.messages


async def test_all_are_asked_at_once(skies: Skies) -> None:
    """One that says nothing keeps the others from nothing, and whoever wants to know waits for the bound only."""
    skies.content.speaks.clear()
    skies.records.trouble = Unavailable("connection refused")
    begin = time.monotonic()
    answers = await asyncio.gather(*(skies.store_health.ask() for _ in range(20)))
    took = time.monotonic() - begin
    skies.content.speaks.set()

    assert [{"metadata": False, "leases": True, "bytes": False}] * 20 == answers
    assert took < 2
    assert 1 == skies.content.asked


async def test_silence_is_an_outage(skies: Skies, caplog: pytest.LogCaptureFixture) -> None:
    """A store that neither answers nor fails is told of as well, and that it speaks again."""
    skies.content.speaks.clear()
    await skies.store_health.ask()
    first = list(await logged(caplog, 1))
    again = await skies.store_health.ask()
    skies.content.speaks.set()
    said = await logged(caplog, 2)

    assert ["s3://b does not answer: no answer for 0 s"] == first
    assert not again["bytes"]
    assert said[1].startswith("s3://b answers again")


async def test_an_outage_that_moves(skies: Skies) -> None:
    """While one store of a place is better, and the other says nothing any more, not all are well."""
    skies.leases.trouble = Unavailable("connection refused")
    await skies.store_health.ask()
    skies.leases.trouble = None
    skies.records.speaks.clear()
    async with asyncio.timeout(10):
        while (await skies.store_health.ask())["metadata"]:
            await asyncio.sleep(0.01)
    skies.records.speaks.set()


async def test_a_long_outage_is_told_again(caplog: pytest.LogCaptureFixture) -> None:
    """While it lasts, a line comes now and then, with the time when it began and what is wrong now."""
    skies = Skies(PingPace(bound=0.2, silence=0.4, again=0.01, remind=0.2))
    skies.content.trouble = Unavailable("connection refused")
    await skies.store_health.ask()
    skies.content.trouble = Unavailable("no route")
    said = await logged(caplog, 2)
    asked = skies.content.asked
    await skies.store_health.close()

    assert said[1].startswith(f"s3://b does not answer since {time.strftime('%Y-%m-')}")
    assert said[1].endswith(": no route")
    assert asked > 5


async def test_what_is_over_already(skies: Skies, caplog: pytest.LogCaptureFixture) -> None:
    """Trouble that is gone when the stores are asked is told all the same, but not each time."""
    for _ in range(5):
        skies.store_health.notice(failed(Unavailable("reset by peer"), FinishFailed))
        await asyncio.sleep(0.02)

    assert ["a store failed once, and answers again: reset by peer"] == caplog.messages


async def test_a_full_store_is_told(skies: Skies, caplog: pytest.LogCaptureFixture) -> None:
    """That a store has no room is one line, however many requests meet it, and so is that it has room again."""
    skies.content.trouble = NoSpace("0 bytes left")
    error = OutOfSpace("there is no room left")
    error.__cause__ = skies.content.trouble
    for _ in range(100):
        skies.store_health.notice(error)
    await logged(caplog, 1)
    during = await skies.store_health.ask()
    skies.content.trouble = None
    said = await logged(caplog, 2)

    assert {"metadata": True, "leases": True, "bytes": False} == during
    assert ["s3://b has no room: 0 bytes left", "s3://b has room again, after 0 s"] == said


async def test_what_only_did_not_fit(skies: Skies, caplog: pytest.LogCaptureFixture) -> None:
    """A store that has room, but not for what somebody brought, is told of as such."""
    error = OutOfSpace("there is no room left")
    error.__cause__ = NoSpace("16777216 bytes do not fit")
    skies.store_health.notice(error)

    assert ["a store had no room for a request: 16777216 bytes do not fit"] == await logged(caplog, 1)


async def test_an_outage_that_becomes_another(skies: Skies, caplog: pytest.LogCaptureFixture) -> None:
    """A store that does not answer, and then does, but has no room, is told of at once."""
    skies.content.trouble = Unavailable("connection refused")
    await skies.store_health.ask()
    skies.content.trouble = NoSpace("full")
    said = await logged(caplog, 2)

    assert said[1].startswith("s3://b has no room since ")


async def test_what_is_no_outage(skies: Skies, caplog: pytest.LogCaptureFixture) -> None:
    """What a request is refused for otherwise, and what a store has lost, is none."""
    skies.store_health.notice(ValueError("no"))
    skies.store_health.notice(failed(Corrupted("gone")))
    await asyncio.sleep(0.05)

    assert [] == caplog.messages
    assert 0 == skies.content.asked


async def test_a_bug_keeps_its_traceback(skies: Skies, caplog: pytest.LogCaptureFixture) -> None:
    """A question that goes wrong in an unexpected way is told in full."""
    skies.content.trouble = ZeroDivisionError("oh")
    answers = await skies.store_health.ask()

    assert not answers["bytes"]
    assert [True, False] == [entry.exc_info is not None for entry in caplog.records]


async def test_closing_ends_all_questions(skies: Skies) -> None:
    """Nobody is asked any more after the end, even in the middle of an outage."""
    skies.content.trouble = Unavailable("connection refused")
    await skies.store_health.ask()
    await skies.store_health.close()
    asked = skies.content.asked
    await asyncio.sleep(0.1)

    assert asked == skies.content.asked


class Passing(Unavailable):
    """An error that only one store knows."""


class StormyBytes(MemoryByteStore):
    """A byte store that fails whenever it is asked."""

    async def append(
        self, record: UploadRecord, content: AsyncIterator[memoryview], checkpoint: Checkpoint = unrecorded
    ) -> Receipt:
        raise Passing("the server said 500")

    async def ping(self) -> None:
        raise Passing("the server said 500")


async def test_requests_in_an_outage(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """They are told to come back, in their dialect; the log is told once, without a traceback."""
    stores = Stores(content=StormyBytes(), metadata=MemoryMetadataStore(), leases=MemoryLeases())
    service = await serve(stores=stores)
    fields = TUS | {"Content-Type": "application/offset+octet-stream"}
    answers = [await service.send("POST", "/files", fields, b"holdfast!") for _ in range(5)]
    said = list(await logged(caplog, 1))

    assert [(503, "5")] * 5 == [(each.status_code, each.headers["retry-after"]) for each in answers]
    assert {"store_failed: a store does not answer"} == {each.text.strip() for each in answers}
    assert ["memory: does not answer: the server said 500"] == said
    assert not [entry for entry in caplog.records if entry.exc_info]
