"""
One ASGI exchange, message by message: a client that sends when the test says so, and goes away when the test says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Scope

HOST = "holdfast.test"


def scope(method: str, path: str, fields: Mapping[str, str] | None = None, **changed: Any) -> Scope:  # noqa: ANN401 - as ASGI
    """
    Return the scope of a request from this machine; *changed* are other members.
    """
    pairs = [("host", HOST), *((name.lower(), value) for name, value in (fields or {}).items())]
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in pairs],
        "client": ("127.0.0.1", 50_000),
        "server": (HOST, 80),
        **changed,
    }


@dataclass
class Wire:
    """
    The messages between a server and its client.
    """

    sent: list[Message] = field(default_factory=list)
    """What the application sent."""
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while the application waits for the client."""
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the application begins to answer."""
    _incoming: asyncio.Queue[Message] = field(default_factory=asyncio.Queue)
    _left: bool = False

    def content(self, data: bytes = b"", *, more: bool = True) -> None:
        """
        Let the client send *data*.
        """
        self._incoming.put_nowait({"type": "http.request", "body": data, "more_body": more})

    def leave(self) -> None:
        """
        Let the client go away.
        """
        self._left = True
        self._incoming.put_nowait({"type": "http.disconnect"})

    async def receive(self) -> Message:
        if self._left and self._incoming.empty():
            return {"type": "http.disconnect"}
        if self._incoming.empty():
            self.waiting.set()
        try:
            return await self._incoming.get()
        finally:
            self.waiting.clear()

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        self.answered.set()
        await asyncio.sleep(0)

    async def refused(self, task: asyncio.Task[None]) -> None:
        """
        Let the client go away as soon as it has an answer, and return when the application has noticed.
        """
        await asyncio.wait_for(self.answered.wait(), 5)
        self.leave()
        await task

    async def idle(self) -> None:
        """
        Return when everything that was sent has been received.
        """
        await asyncio.wait_for(self.waiting.wait(), 5)

    def start(self, application: ASGIApp, request: Scope) -> asyncio.Task[None]:
        """
        Let *application* answer *request*.
        """
        return asyncio.ensure_future(_as_coroutine(application, request, self))

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def fields(self) -> dict[str, str]:
        return {name.decode(): value.decode("latin-1") for name, value in self.sent[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])


async def _as_coroutine(application: ASGIApp, request: Scope, wire: Wire) -> None:
    await application(request, wire.receive, wire.send)
