"""What an HTTP protocol offers besides ASGI, for one request; `holdfast.service.server.http` says why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal, Protocol

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from holdfast.service.asgi.receiving.buffers import Buffers
from holdfast.service.server.receiver import Receiver, ReceivingProtocol
from holdfast.service.server.sendfile import send_file


class Connection(ReceivingProtocol, Protocol):
    """The HTTP protocol of a connection."""

    handoff: bool
    scheme: Literal["http", "https"] | None
    transport: asyncio.Transport


class UvicornExtension:
    """`holdfast.service.asgi.receiving.content.ConnectionExtension` of one request."""

    __slots__ = ("_cycle", "_protocol", "on_shutdown", "received")

    def __init__(self, protocol: Connection, cycle: RequestResponseCycle) -> None:
        self._protocol = protocol
        self._cycle = cycle
        self.received = 0
        """Bytes of content that the parser has found so far."""
        self.on_shutdown: Callable[[], None] | None = None

    def hand_over(self, length: int, buffers: Buffers) -> Receiver | None:
        """
        Let the connection write the rest of the content, which has *length* bytes in all, into *buffers*; None if it cannot.
        """
        cycle, transport = self._cycle, self._protocol.transport
        remaining = length - self.received
        if not self._protocol.handoff or not cycle.more_body or remaining <= 0 or cycle.disconnected or transport.is_closing():
            return None
        if cycle.waiting_for_100_continue:
            cycle.waiting_for_100_continue = False
            transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        early, cycle.body = cycle.body, bytearray()
        receiver = Receiver(self._protocol, buffers, early, remaining)
        transport.set_protocol(receiver)
        return receiver

    @property
    def sends_files(self) -> bool:
        """Whether responses go to the socket as they are, without TLS."""
        return self._protocol.handoff and self._protocol.scheme == "http"

    async def send_file(self, descriptor: int, start: int, stop: int, patience: float) -> None:
        """Send the bytes of a file from *start* up to *stop* as response content; see `holdfast.service.server.sendfile`."""
        cycle = self._cycle
        await send_file(self._protocol.transport, cycle.flow, descriptor, start, stop, patience)
        cycle.expected_content_length -= stop - start

    @property
    def has_all(self) -> bool:
        """Whether the whole content has come, and none of it was delivered."""
        return not self._cycle.more_body and len(self._cycle.body) == self.received

    def remains(self) -> tuple[bytes, bool]:
        """Return the bytes that were received but not delivered, and whether the content ends with them."""
        body = bytes(self._cycle.body)
        self._cycle.body = bytearray()
        return body, not self._cycle.more_body

    def abort(self) -> None:
        """Close the connection within a response."""
        self._cycle.disconnected = True  # so that uvicorn does not warn of an incomplete response
        self._protocol.transport.abort()
