"""
How processes send each other messages through Redis: each subscribes to a channel of its own.

A subscriber that is disconnected misses messages, so senders repeat them.  A subscription may also be dead without an error, as
after a failover that this process did not notice.  So each process regularly publishes a message to itself over the connections
of its commands, and subscribes again when that does not arrive.
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
# A lost subscription is usually restored after this.
ONCE_MORE = 0.1 * SECONDS
FIRST_PAUSE = 0.05 * SECONDS
LONGEST_PAUSE = 1 * SECONDS
# How long `open` waits for the subscription.
OPENING = 5 * SECONDS
# How many of its own messages a process may miss before it subscribes again.
MISSING = 2


class Mailbox:
    """The channel of one process, and `holdfast.storage.leases.claims.Post` to the others."""

    def __init__(self, redis_client: RedisClient, channels: str) -> None:
        self._redis = redis_client
        self._channels = channels
        self._process = ""
        self._deliver: Callable[[str], object] = lambda _message: None
        self._open = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None
        self._sending: set[asyncio.Task[Liveness]] = set()
        self._missing = 0
        self._trouble = "no answer"

    async def open(self, process: str, receive: Callable[[str], object]) -> None:
        """
        Return once *receive* is called with each message for *process*; it is called until `close`, and must neither block nor
        raise.

        :raises Unavailable: the subscription fails.
        """
        if self._listening is None:
            self._process, self._deliver = process, receive
            self._listening = asyncio.create_task(self._listen())
        if not self._open.is_set():
            try:
                async with asyncio.timeout(OPENING):
                    await self._open.wait()
            except TimeoutError as error:
                raise Unavailable(f"Redis: cannot subscribe to the messages for this process: {self._trouble}") from error

    async def ask(self, process: str, message: str) -> Liveness:
        """
        Send *message*, and again after a moment if it has no subscriber.  A Cluster does not report subscribers.

        :raises Unavailable: it could not be sent.
        """
        for pause in (ONCE_MORE, 0.0):
            listeners = await self._redis.call("PUBLISH", self._channels + process, message)
            if listeners or not self._redis.counts_receivers:
                return Liveness.SENT
            await asyncio.sleep(pause)
        return Liveness.UNKNOWN

    def send(self, process: str, message: str) -> None:
        """Try to send *message*, in the background."""
        task = asyncio.create_task(self._send(process, message))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def check(self) -> None:
        """Send a message to this process, and subscribe again if earlier ones have not arrived."""
        self._missing += 1
        if self._missing > MISSING and self._listening is not None:
            self._missing = 0
            await stopped(self._listening)
            self._listening = asyncio.create_task(self._listen())
        with suppress(StorageError):
            await self._redis.call("PUBLISH", self._channels + self._process, "hello")

    async def close(self) -> None:
        """End the subscription and cancel messages that are being sent."""
        if self._listening is not None:
            await stopped(self._listening)
        for task in list(self._sending):
            await stopped(task)

    async def _send(self, process: str, message: str) -> Liveness:
        try:
            await self._redis.call("PUBLISH", self._channels + process, message)
        except StorageError:
            return Liveness.UNKNOWN  # the claimant that waits for it asks again
        return Liveness.SENT

    async def _listen(self) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                await self._subscribe()
            except (*VENDOR, StorageError) as error:
                self._trouble = str(error)
                if self._open.is_set():
                    logger.debug("the subscription to messages of other processes ended: %s", error)
                    pause = FIRST_PAUSE
            finally:
                self._open.clear()
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _subscribe(self) -> None:
        """Receive messages until the connection ends."""
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
            self._deliver(message)
