"""
How the processes of a service speak with each other through Redis: each subscribes to a channel of its own.

What a subscriber misses is lost: whoever has something to say says it again.  A subscription may also be dead without a sign, as
after a failover that this process did not notice.  So now and then each process sends itself a message by the line that its
commands take, and when that did not come back it subscribes anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing, suppress

from holdfast.storage.errors import StorageError, Unavailable
from holdfast.storage.leases.rows import Liveness
from holdfast.storage.redis.client import VENDOR, RedisClient
from holdfast.storage.threads import stopped

logger = logging.getLogger("holdfast")

SECONDS = 1.0
# A subscription that was lost is there again after this.
ONCE_MORE = 0.1 * SECONDS
FIRST_PAUSE = 0.05 * SECONDS
LONGEST_PAUSE = 1 * SECONDS
# How long whoever needs the subscription waits for it.
OPENING = 5 * SECONDS
# How many of its own messages may be missing.
MISSING = 2


class Mailbox:
    """
    The channel of one process, and the way to those of others: `holdfast.storage.leases.claims.Post`.
    """

    def __init__(self, redis_client: RedisClient, channels: str) -> None:
        self._redis = redis_client
        self._channels = channels
        self._process = ""
        self._understand: Callable[[str], object] = lambda _message: None
        self._open = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None
        self._sending: set[asyncio.Task[Liveness]] = set()
        self._missing = 0
        self._trouble = "nobody answered"

    async def open(self, process: str, understand: Callable[[str], object]) -> None:
        """
        Return when messages for *process* come to *understand*; that goes on until `close`.

        :raises Unavailable: they do not.
        """
        if self._listening is None:
            self._process, self._understand = process, understand
            self._listening = asyncio.create_task(self._listen())
        if not self._open.is_set():
            try:
                async with asyncio.timeout(OPENING):
                    await self._open.wait()
            except TimeoutError as error:
                raise Unavailable(f"Redis: this process could not subscribe to its messages: {self._trouble}") from error

    async def ask(self, process: str, message: str) -> Liveness:
        """
        Send *message*; when nobody listens, once more after a moment.  In a Cluster nobody knows who listens.

        :raises Unavailable: it could not be sent.
        """
        for pause in (ONCE_MORE, 0.0):
            listeners = await self._redis.call("PUBLISH", self._channels + process, message)
            if listeners or not self._redis.counts_receivers:
                return Liveness.SENT
            await asyncio.sleep(pause)
        return Liveness.UNKNOWN

    def tell(self, process: str, message: str) -> None:
        """
        Send *message*, if that can be done.
        """
        task = asyncio.create_task(self._send(process, message))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def check(self) -> None:
        """
        Send a message to this process itself, and subscribe anew when those before did not come.
        """
        self._missing += 1
        if self._missing > MISSING and self._listening is not None:
            self._missing = 0
            await stopped(self._listening)
            self._listening = asyncio.create_task(self._listen())
        with suppress(StorageError):
            await self._redis.call("PUBLISH", self._channels + self._process, "hello")

    async def close(self) -> None:
        """
        Listen no more.
        """
        if self._listening is not None:
            await stopped(self._listening)
        for task in list(self._sending):
            await stopped(task)

    async def _send(self, process: str, message: str) -> Liveness:
        try:
            await self._redis.call("PUBLISH", self._channels + process, message)
        except StorageError:
            return Liveness.UNKNOWN  # whoever waits for it asks again
        return Liveness.SENT

    async def _listen(self) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                await self._subscribe()
            except (*VENDOR, StorageError) as error:
                self._trouble = str(error)
                if self._open.is_set():
                    logger.debug("messages of other processes do not come any more: %s", error)
                    pause = FIRST_PAUSE
            finally:
                self._open.clear()
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _subscribe(self) -> None:
        """Listen until the connection ends."""
        client = await self._redis.listener()
        async with client, client.pubsub() as subscription:
            await subscription.subscribe(self._channels + self._process)
            async with aclosing(subscription.listen()) as messages:
                async for message in messages:
                    match message["type"]:
                        case "subscribe":
                            self._missing = 0
                            self._open.set()
                        case "message":
                            self._receive(message["data"].decode())

    def _receive(self, message: str) -> None:
        if message == "hello":
            self._missing = 0
        else:
            self._understand(message)
