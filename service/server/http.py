"""
Uvicorn's HTTP protocol, with a door: what ASGI has no message for.

Theory of operation
-------------------

Uvicorn's httptools protocol keeps one request-response cycle per request and fills its body as data arrives.  Some things that a
service for interrupted uploads needs cannot be said in ASGI, so each request finds a `Door` in ``scope["extensions"]``:

* When a connection breaks, uvicorn delivers ``http.disconnect`` and drops up to 64 KiB that were received already.  Every
  received byte is kept: `Door.remains` returns them.
* Content that the connection could write into our buffers itself is parsed, copied and queued instead.  `Door.hand_over` leaves
  all that out; see `service.server.receiver`.
* What a file holds could go to the connection without passing through us.  `Door.send_file` lets it.
* When the server shuts down, uvicorn waits until requests end by themselves.  `Door.on_shutdown` lets content end at once; what
  is durable is acknowledged, and the client resumes elsewhere.

And some things are mended here, because only here they can be:

* Whatever is not content (heads, trailers, chunk extensions) has a bound, and a head has a deadline.
* A server that does not upgrade ignores ``Upgrade`` (RFC 9110, section 7.8).  The parser cannot: it takes such a request for one
  without content, and its content for the next request.  So the head is parsed again without the field.
* Trailers stay out of the head (RFC 9110, section 6.5.1); a client that has sent its whole request may close its side and still
  gets its answer.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from service.asgi.buffers import Buffers
from service.asgi.door import EXTENSION
from service.server.receiver import Receiver
from service.server.sendfile import send_file

KiB = 1024
# Twice what the loop reads at once, and above the application's own bound, so that a head that is merely too large for that gets
# a proper answer.
MAX_OUTSIDE = 512 * KiB
HEAD_TIMEOUT = 30.0  # seconds


class ServerConfig(Config):
    """
    Uvicorn's configuration, how long a head may take (seconds), and whether content is handed over.
    """

    head_timeout: float = HEAD_TIMEOUT
    handoff: bool = False


class Door:
    """
    `service.asgi.content.Door` of one request.
    """

    __slots__ = ("_cycle", "_protocol", "on_shutdown", "received")

    def __init__(self, protocol: Protocol, cycle: RequestResponseCycle) -> None:
        self._protocol = protocol
        self._cycle = cycle
        self.received = 0
        """Bytes of content that the parser has found."""
        self.on_shutdown: Callable[[], None] | None = None

    def hand_over(self, length: int, buffers: Buffers) -> Receiver | None:
        """
        Let the connection write the rest of the content, which has *length* bytes, into *buffers*.
        """
        cycle, transport = self._cycle, self._cycle.transport
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
        """Whether nothing but the socket is between us and the client."""
        return self._protocol.handoff and self._protocol.scheme == "http"

    async def send_file(self, descriptor: int, start: int, stop: int, patience: float) -> None:
        """
        Send the bytes of a file from *start* up to *stop* as the content of the response; see `service.server.sendfile`.
        """
        cycle = self._cycle
        await send_file(cycle.transport, cycle.flow, descriptor, start, stop, patience)
        cycle.expected_content_length -= stop - start

    @property
    def has_all(self) -> bool:
        """Whether the content of the request has come whole, and none of it was delivered."""
        return not self._cycle.more_body and len(self._cycle.body) == self.received

    def remains(self) -> tuple[bytes, bool]:
        """
        Return what was received but not delivered, and whether that is the end of the content.
        """
        body = bytes(self._cycle.body)
        self._cycle.body = bytearray()
        return body, not self._cycle.more_body

    def abort(self) -> None:
        """
        Close the connection in the middle of a response.
        """
        self._cycle.disconnected = True  # uvicorn need not warn of a response without its end
        self._cycle.transport.abort()


class Protocol(HttpToolsProtocol):
    """
    Uvicorn's protocol for one connection.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._door: Door | None = None
        self._cycles: list[RequestResponseCycle] = []
        self._outside = 0
        """Bytes since content, or the end of a head, was last seen."""
        self._head_timeout = config.head_timeout if isinstance(config, ServerConfig) else HEAD_TIMEOUT
        self.handoff = isinstance(config, ServerConfig) and config.handoff
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        # Uvicorn tells only the newest request of a pipeline; the one that is being answered has to know.
        self.pipeline.clear()
        for cycle in self._cycles:
            cycle.disconnected = cycle.disconnected or not cycle.response_complete
            cycle.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._outside += len(data)
        if self._outside > MAX_OUTSIDE:
            self._refuse("The head of the request is too large.")
            return
        self._unset_keepalive_if_required()
        rest = memoryview(data)
        try:
            while rest:  # each round ends with a head that asks for an upgrade; thousands may come at once
                try:
                    self.parser.feed_data(rest)
                    break
                except httptools.HttpParserUpgrade as upgrade:
                    rest = rest[upgrade.args[0] :]
                    if not self._ignore_upgrade():
                        break
        except httptools.HttpParserError:
            self._refuse("Invalid HTTP request received.")

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio takes a truth value, uvicorn never has one
        """
        Keep the connection for an answer that is under way, if its request is whole.
        """
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is None or cycle.response_complete or cycle.more_body:
            return False
        cycle.keep_alive = False
        return True

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            return  # data_received will be told
        self._stop_waiting()
        super().on_headers_complete()
        self._outside = 0
        self._cycles = [cycle for cycle in self._cycles if not cycle.response_complete] + [self.cycle]
        self._door = Door(self, self.cycle)
        scope = cast("dict[str, Any]", self.scope)
        scope.setdefault("extensions", {})[EXTENSION] = self._door
        self.headers = []  # trailers go here, and nowhere else

    def on_body(self, body: bytes) -> None:
        self._outside = 0
        if self._door is not None:
            self._door.received += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def content_came(self) -> None:
        """
        Take the connection back from whoever received the content of its request, all of it.
        """
        self.transport.set_protocol(self)
        self._replace_parser()
        if not self.cycle.keep_alive:
            self._forget_what_follows()
        super().on_message_complete()

    def shutdown(self) -> None:
        """
        Let a request that is under way end soon, and close after it.
        """
        super().shutdown()
        if self._door is not None and self._door.on_shutdown is not None:
            self._door.on_shutdown()

    def _forget_what_follows(self) -> None:
        """Take what came behind the last request: if it were there when we close, the answer would be lost (RFC 9112, 9.6)."""
        if self.scheme == "http":
            with suppress(OSError):  # there is nothing more
                os.read(self.transport.get_extra_info("socket").fileno(), MAX_OUTSIDE)

    def _ignore_upgrade(self) -> bool:
        """Parse the head again without what asks for an upgrade; return whether the request can be served."""
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._refuse("This is not a proxy.")
            return False
        version = self.parser.get_http_version().encode()
        fields = [name + b": " + value + b"\r\n" for name, value in self.headers if name != b"upgrade"]
        head = b"".join([method, b" ", self.url, b" HTTP/", version, b"\r\n", *fields, b"\r\n"])
        self._replace_parser()
        self.parser.feed_data(head)
        return True

    def _replace_parser(self) -> None:
        """Begin to parse at the head of a request, as lenient as uvicorn's own parser is."""
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._outside = 0

    def _refuse(self, message: str) -> None:
        """Answer what is not a request, and close; but do not speak into the answer to the request before it."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if self.transport.is_closing():
            return
        if cycle is None or cycle.response_complete:
            self.send_400_response(message)
        elif cycle.more_body:
            self.transport.abort()  # its content is broken; what came of it is kept
        else:
            cycle.keep_alive = False
            self.transport.pause_reading()

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self._head_timeout, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
