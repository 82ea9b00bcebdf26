"""
The line to a Redis: what errors mean, and what is done about them.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from redis import exceptions as vendor

from holdfast.storage.errors import Corrupted, NoSpace, Unavailable
from holdfast.storage.redis.client import CONNECTIONS, Judgement, RedisClient, Script, Verdict, judge
from servers.stores.redis import RedisServer
from tests.storage.redis.wire import wire_to

# Who waits for somebody that never comes fails soon.
pytestmark = pytest.mark.timeout(60)

SECRET = Script("secret")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (vendor.AuthenticationError("invalid username-password pair"), Unavailable),
        (vendor.AuthorizationError("no"), Unavailable),
        (vendor.NoPermissionError("this user has no permissions"), Unavailable),
        (vendor.OutOfMemoryError("command not allowed"), NoSpace),
        (vendor.ConnectionError("refused"), Judgement.TRY_AGAIN),
        (vendor.BusyLoadingError("Redis is loading the dataset in memory"), Judgement.TRY_AGAIN),
        (vendor.TimeoutError("Timeout reading from socket"), Judgement.TRY_AGAIN),
        (vendor.ReadOnlyError("You can't write against a read only replica."), Judgement.TRY_AGAIN),
        (vendor.ClusterDownError("The cluster is down"), Judgement.TRY_AGAIN),
        (vendor.MasterDownError("Link with MASTER is down"), Judgement.TRY_AGAIN),
        (vendor.TryAgainError("Multiple keys request during rehashing of slot"), Judgement.TRY_AGAIN),
        (vendor.RedisClusterException("Redis Cluster cannot be connected"), Judgement.TRY_AGAIN),
        (vendor.ClusterError("TTL exhausted."), Judgement.TRY_AGAIN),
        (vendor.ResponseError("BUSY Redis is busy running a script."), Judgement.TRY_AGAIN),
        (vendor.ResponseError("NOREPLICAS Not enough good replicas to write."), Judgement.TRY_AGAIN),
        (vendor.ResponseError("Error running script: Script killed by user with SCRIPT KILL."), Judgement.TRY_AGAIN),
        (vendor.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"), Corrupted),
        (vendor.ResponseError("MISCONF Redis is configured to save RDB snapshots"), Unavailable),
        (vendor.ResponseError("anything else"), Unavailable),
        (vendor.InvalidResponse("HTTP/1.1 400 Bad Request"), Unavailable),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_errors_are_judged(error: Exception, expected: Verdict) -> None:
    """Every error of redis-py means an error of a store, or may pass."""
    assert expected is judge(error)


async def test_more_at_once_than_connections(redis_server: RedisServer) -> None:
    """However many want something at once, there are never more connections than agreed, and everybody has an answer."""
    redis_client = RedisClient(redis_server.url)
    redis_client.join()
    before = redis_server.ask("INFO", "clients").decode()
    answers = await asyncio.gather(*(redis_client.call("ECHO", str(number)) for number in range(1000)))
    after = redis_server.ask("INFO", "clients").decode()
    await redis_client.leave()
    connected = [int(text.partition("connected_clients:")[2].partition("\r")[0]) for text in (before, after)]

    assert [str(number).encode() for number in range(1000)] == answers
    assert connected[1] - connected[0] <= CONNECTIONS


@pytest.mark.alone("some calls wait as long as they may, others a little shorter")
async def test_every_connection_in_use(redis_server: RedisServer) -> None:
    """Who waits for a connection for too long is told so, and not left waiting."""
    redis_client = RedisClient(redis_server.url)
    redis_client.join()
    blocked = (redis_client.call("BLPOP", "nothing:ever", "1.5") for _ in range(3 * CONNECTIONS))
    begun = time.monotonic()
    results = await asyncio.gather(*blocked, return_exceptions=True)
    took = time.monotonic() - begun
    await redis_client.leave()

    assert [None] * 2 * CONNECTIONS == results[: 2 * CONNECTIONS]
    assert {"every connection to Redis is in use"} == {str(result) for result in results[2 * CONNECTIONS :]}
    assert took < 4


async def test_many_together(redis_server: RedisServer) -> None:
    """What is sent together is answered in order, though some of it, or the script, has to be sent again."""
    redis_server.ask("SCRIPT", "FLUSH")
    async with wire_to(redis_server.port) as wire:
        redis_client = RedisClient(wire.url)
        redis_client.join()
        calls = [([f"many:{number}"], [str(number)]) for number in range(50)]
        answers = [await redis_client.run_many(SECRET, calls)]
        wire.lose(1, b"EVALSHA")
        answers.append(await redis_client.run_many(SECRET, calls))
        nothing = await redis_client.run_many(SECRET, [])
        await redis_client.leave()

    assert [[str(number).encode() for number in range(50)]] * 2 == answers
    assert [] == nothing
    assert 1 == wire.lost


async def test_a_closed_line(redis_server: RedisServer) -> None:
    """A line is there until the last of those that share it has left; then nothing goes through it."""
    redis_client = RedisClient(redis_server.url)
    redis_client.join()
    redis_client.join()
    await redis_client.leave()
    answer = await redis_client.call("ECHO", "still there")
    await redis_client.leave()

    assert b"still there" == answer
    with pytest.raises(Unavailable, match="closed"):
        await redis_client.call("ECHO", "no longer")


async def test_a_server_that_can_only_be_read_is_left(redis_server: RedisServer, tmp_path: Path) -> None:
    """Who is told so lets go of its connections: the name of the server may be another one's by now."""
    only_once = "return redis.call('INCR', KEYS[1]) > 1 or redis.error_reply('READONLY You can\\'t write against a replica.')"
    redis_client = RedisClient(redis_server.url)
    redis_client.join()
    before = await redis_client.call("CLIENT", "ID")
    written = await redis_client.call("EVAL", only_once, 1, f"{tmp_path}:tries")
    after = await redis_client.call("CLIENT", "ID")
    await redis_client.leave()

    assert 1 == written
    assert before != after
