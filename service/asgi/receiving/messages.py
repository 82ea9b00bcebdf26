"""Content from ASGI messages, gathered into blocks worth a system call."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.types import Receive

from holdfast.service.asgi.receiving.buffers import LARGE
from holdfast.service.asgi.receiving.connection import ConnectionExtension

NOTHING = memoryview(b"")


class Messages:
    """
    The `Intake` over ``receive()``.

    `interrupt` cancels the task while it waits in ``receive()``; the task then takes the cancellation back, as in
    `asyncio.timeout`.
    """

    def __init__(self, receive: Receive, length: int | None, extension: ConnectionExtension | None) -> None:
        self._receive = receive
        self._length = length
        self._extension = extension
        self._blocks: list[bytes] = []
        self._waiting: asyncio.Task[Any] | None = None
        self._interrupted = False
        self.received = 0
        self.held = 0
        self.complete = False
        self.lost = False

    @property
    def is_ready(self) -> bool:
        return self.held >= LARGE or self.complete or self.lost

    async def fill(self) -> None:
        while not self.is_ready:
            if not await self._interruptible():
                return

    async def some(self) -> None:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.lost = True
            return
        self._keep(message.get("body", b""))
        if not message.get("more_body", False):
            # A correct server does not end content before its length; an incorrect one must not make it a success.
            self.complete = self.received >= (self._length or 0)
            self.lost = not self.complete

    def take(self) -> memoryview:
        blocks, self._blocks, self.held = self._blocks, [], 0
        if not blocks:
            return NOTHING
        return memoryview(blocks[0] if len(blocks) == 1 else b"".join(blocks))

    def take_rest(self) -> None:
        """Keep the bytes that the server received: the client need not send them again."""
        if self._extension is not None and not self.complete:
            body, self.complete = self._extension.remains()
            self._keep(body)

    def interrupt(self) -> None:
        if self._waiting is not None and not self._interrupted:
            self._interrupted = True
            self._waiting.cancel()

    def close(self) -> None:
        self._blocks = []
        self.held = 0

    def _keep(self, body: bytes) -> None:
        if body:
            self._blocks.append(body)
            self.held += len(body)
            self.received += len(body)

    async def _interruptible(self) -> bool:
        """Wait for the next message; return False if the wait was interrupted."""
        task = self._waiting = asyncio.current_task()
        if task is None:
            raise RuntimeError("content has to be read in an asyncio task")
        try:
            await self.some()
        except asyncio.CancelledError:
            if self._interrupted and task.uncancel() == 0:
                return False
            raise
        else:
            return True
        finally:
            self._waiting = None
            self._interrupted = False
