"""
Requests to other services, and answers that are too slow or too large.
"""

from __future__ import annotations

import gzip
import time
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from holdfast.service.accounts.asking import ask
from holdfast.service.accounts.errors import AccountsUnavailable
from tests.accounts.tokens import Answering, answering

KiB = 1024


@pytest.fixture
def server() -> Iterator[Answering]:
    """Return a server."""
    with answering() as found:
        yield found


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """Return a client."""
    async with httpx.AsyncClient(timeout=5) as client:
        yield client


async def test_answer(server: Answering, client: httpx.AsyncClient) -> None:
    """Status, fields and content come whole, up to the last byte that there may be."""
    server.status, server.content, server.fields = 403, bytes(KiB), {"Cache-Control": "max-age=5"}
    answer = await ask(client, "POST", server.url, most=KiB, seconds=5, content="hello", fields={"x-a": "b"})

    assert (403, bytes(KiB), "max-age=5") == (answer.status, answer.content, answer.fields["cache-control"])
    assert (b"hello", "b", "identity") == (server.asked[0][1], server.asked[0][0]["x-a"], server.asked[0][0]["accept-encoding"])


@pytest.mark.parametrize("pause", [0.0, 0.1], ids=["nothing", "now and then a byte"])
async def test_too_slow(server: Answering, client: httpx.AsyncClient, pause: float) -> None:
    """However it is late, it is late."""
    server.content, server.pause = bytes(50), pause
    if not pause:
        server.free.clear()
    began = time.monotonic()
    with pytest.raises(AccountsUnavailable):
        await ask(client, "GET", server.url, most=KiB, seconds=0.3)

    assert time.monotonic() - began < 2
    server.pause = 0


async def test_too_large(server: Answering, client: httpx.AsyncClient) -> None:
    """One byte too many is too many."""
    server.content = bytes(KiB + 1)
    with pytest.raises(AccountsUnavailable):
        await ask(client, "GET", server.url, most=KiB, seconds=5)


async def test_packed(server: Answering, client: httpx.AsyncClient) -> None:
    """What could be a thousand times larger is not unpacked."""
    server.content, server.fields = gzip.compress(bytes(100_000_000)), {"Content-Encoding": "gzip"}
    with pytest.raises(AccountsUnavailable):
        await ask(client, "GET", server.url, most=200 * KiB, seconds=5)


async def test_nobody(client: httpx.AsyncClient) -> None:
    """Where nobody listens there is no answer."""
    with pytest.raises(AccountsUnavailable):
        await ask(client, "GET", "http://127.0.0.1:9/", most=KiB, seconds=5)
