"""
How soon messages come again after a subscription was lost.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from holdfast.storage.redis import mailbox
from holdfast.storage.redis.client import RedisClient
from holdfast.storage.redis.mailbox import Mailbox
from servers.stores.redis import RedisServer
from tests.storage.redis.stores import prefix_of
from tests.storage.redis.wire import wire_to

pytestmark = pytest.mark.timeout(60)

SECONDS = 1.0


async def test_a_pause_begins_anew(redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses grow while a subscription fails; one that was there, and is lost, is there again at once."""
    monkeypatch.setattr(mailbox, "FIRST_PAUSE", 0.01 * SECONDS)
    heard = asyncio.Event()
    async with wire_to(redis_server.port) as wire:
        client = RedisClient(wire.url)
        client.join()
        box = Mailbox(client, prefix_of(tmp_path))
        wire.lose(12, b"SUBSCRIBE")
        begun = time.monotonic()
        await box.open("process", lambda _message: heard.set())
        first = time.monotonic() - begun
        redis_server.ask("CLIENT", "KILL", "TYPE", "pubsub")
        begun = time.monotonic()
        while not heard.is_set():
            await box.ask("process", "here")
            await asyncio.sleep(0)
        again = time.monotonic() - begun
        await box.close()
        await client.leave()

    assert again < first / 2
