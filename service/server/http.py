"""
Uvicorn's HTTP protocol, extended by what ASGI has no message for.

Theory of operation
-------------------

Uvicorn's httptools protocol keeps one request-response cycle per request, and fills its body as data arrives.  A service for
interrupted uploads needs more than ASGI offers, so each request finds a `UvicornExtension` in ``scope["extensions"]``:

* When a connection breaks, uvicorn delivers ``http.disconnect`` and drops up to 64 KiB that it had received.
  `UvicornExtension.remains` returns them, so that every received byte is kept.
* ASGI parses, copies and queues content.  `UvicornExtension.hand_over` lets the connection write it into our buffers instead;
  see `holdfast.service.server.receiver`.
* `UvicornExtension.send_file` sends a file from the page cache to the connection, without a copy.
* When the server shuts down, uvicorn waits until requests end by themselves.  `UvicornExtension.on_shutdown` ends content at
  once; the server acknowledges what is durable, and the client resumes at another process.

The protocol also corrects the following:

* Everything that is not content (heads, trailers, chunk extensions) is bounded, and a head has a deadline.
* A server that does not upgrade ignores ``Upgrade`` (RFC 9110, section 7.8).  The parser would take such a request for one
  without content, and its content for the next request.  So the head is parsed again without the field.
* Trailers stay out of the head (RFC 9110, section 6.5.1).  A client that closes its side after the whole request still gets its
  answer.
* A client gets its answer even while it still sends content that was refused (`holdfast.service.server.lingering`), and a
  client that reads no answer is disconnected (`holdfast.service.server.outlet`).  Broken content gets an answer, too.
* Of a pipeline, only as many requests are parsed as can be answered soon; the rest stays unparsed.
* Descriptors have a budget (`holdfast.service.server.descriptors`), and each response has its own date
  (`holdfast.service.server.fields`).
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import Any, cast

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from holdfast.service.asgi.receiving.connection import EXTENSION
from holdfast.service.asgi.requests import is_coding_known
from holdfast.service.server.configuration import ServerConfig
from holdfast.service.server.connection import UvicornExtension
from holdfast.service.server.descriptors import overloaded
from holdfast.service.server.fields import DatedFields
from holdfast.service.server.lingering import Lingering
from holdfast.service.server.outlet import Outlet
from holdfast.service.server.receiver import Receiver
from holdfast.service.server.refusal import BAD_REQUEST, NOT_IMPLEMENTED, UNAVAILABLE, refusal

KiB = 1024
# Twice what the loop reads at once, and above the application's own bound, so that the application answers heads that are only
# slightly too large.
MAX_OUTSIDE = 512 * KiB
# Requests of a pipeline that may wait; later ones are not parsed before.
MOST_WAITING = 16
# Bytes that are parsed at a time, so that one read makes no more requests than may wait.
HEAD_BYTES = 4 * KiB
CONTENT_BYTES = 64 * KiB

_FIELDS = DatedFields()


class Protocol(HttpToolsProtocol):
    """Uvicorn's protocol for one connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._extension: UvicornExtension | None = None
        self._cycles: list[RequestResponseCycle] = []
        self._outside = 0
        """Bytes since the last content or end of a head."""
        ours = config if isinstance(config, ServerConfig) else ServerConfig
        self._head_timeout, self._idle_timeout = ours.head_timeout, ours.idle_timeout
        self._descriptors, self.handoff = ours.descriptors, ours.handoff
        self._application: ASGI3Application = self.app
        self._head_timer: asyncio.TimerHandle | None = None
        self._outlet: Outlet = None  # type: ignore[assignment]  # as uvicorn's transport
        self._unparsed = b""
        """Bytes behind the requests that may wait."""
        self._is_within_head = False
        """Whether those begin within a head."""
        self._half_closed = False
        """Whether the client has closed its side, though not all is parsed."""
        self._lingering: Lingering | None = None
        self._is_refused = False
        """Whether further bytes are ignored."""
        self._ends = False
        """Whether the server shuts down."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._outlet = Outlet(transport, self._idle_timeout, self._close)
        if len(self.connections) > self._descriptors.connections:
            self._refuse_connection()
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._outlet.unwatch()
        self._unparsed = b""
        # Uvicorn notifies only the newest request of a pipeline; the one that is being answered must know too.
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
        # The keep-alive timer goes on until a request begins: line ends and the rest of unread content are none.
        self._parse(self._unparsed + data if self._unparsed else data)

    def _parse(self, data: bytes) -> None:
        """Parse received bytes, until as many requests wait as may; keep the rest."""
        rest = memoryview(data)
        self._unparsed = b""
        try:
            while rest:
                if len(self.pipeline) >= MOST_WAITING:
                    self._unparsed = bytes(rest)
                    self.flow.pause_reading()
                    # The rest of the head is late because of the server, not the client.
                    self._is_within_head = self._head_timer is not None
                    self._stop_waiting()
                    return
                piece = rest[: CONTENT_BYTES if self._is_within_content else HEAD_BYTES]
                try:
                    self.parser.feed_data(piece)
                    rest = rest[len(piece) :]
                except httptools.HttpParserUpgrade as upgrade:  # its argument is where the head ends
                    rest = rest[upgrade.args[0] :]
                    if not self._ignore_upgrade():
                        return
        except httptools.HttpParserError:
            self._refuse("Invalid HTTP request received.")

    @property
    def _is_within_content(self) -> bool:
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return cycle is not None and cycle.more_body

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio takes a truth value, uvicorn never has one
        """Keep the connection open for the answer to a whole request."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if self._unparsed or self._is_refused:
            self._half_closed = True
            return True
        if cycle is None or cycle.response_complete or cycle.more_body:
            return False
        cycle.keep_alive = False
        return True

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._unset_keepalive_if_required()
        self._await_head()

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            return  # the parser raises HttpParserUpgrade next
        self._stop_waiting()
        self.app = overloaded if self._descriptors.are_used_up(self.connections, self.tasks) else self._application
        super().on_headers_complete()
        self.cycle.default_headers = _FIELDS
        self.cycle.transport = cast("asyncio.Transport", self._outlet)
        self._outside = 0
        self._cycles = [cycle for cycle in self._cycles if not cycle.response_complete] + [self.cycle]
        self._extension = UvicornExtension(self, self.cycle)
        scope = cast("dict[str, Any]", self.scope)
        scope.setdefault("extensions", {})[EXTENSION] = self._extension
        self.headers = []  # trailers end up here only

    def on_body(self, body: bytes) -> None:
        self._outside = 0
        if self._extension is not None:
            self._extension.received += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def content_came(self) -> None:
        """Take the connection back from the receiver, after the last byte of the content."""
        self.transport.set_protocol(self)
        self._replace_parser()
        if not self.cycle.keep_alive:
            self._forget_what_follows()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if self._lingering is not None:
            self.server_state.total_requests += 1
            return
        super().on_response_complete()
        if self._unparsed and len(self.pipeline) <= MOST_WAITING // 2 and not self.transport.is_closing():
            if self._is_within_head:
                self._await_head()
            self._parse(self._unparsed)
            if self._half_closed and not self._unparsed:
                self.eof_received()
        if self._head_timer is not None:  # the next request has begun
            self._unset_keepalive_if_required()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._outlet.watch()

    def timeout_keep_alive_handler(self) -> None:
        self._close()

    def shutdown(self) -> None:
        """End the request under way soon, and close after it."""
        self._ends = True
        if self._lingering is not None:
            self._lingering.hurry()
            return
        super().shutdown()
        if self._extension is not None and self._extension.on_shutdown is not None:
            self._extension.on_shutdown()

    def _close(self) -> None:
        """Close after the last answer; in stages if the client may still be sending, so that it can read the answer."""
        self._stop_waiting()
        if self._lingering is not None or self.transport.is_closing():
            return
        if self._is_within_content or self.pipeline or self._unparsed or self._is_refused:
            self.pipeline.clear()
            self._unparsed = b""
            receiver = self.transport.get_protocol()
            if isinstance(receiver, Receiver):
                receiver.replaced = True
            self._lingering = Lingering(self, self.transport)
            self._lingering.begin(hurry=self._ends)
        else:
            self.transport.close()
        self._outlet.watch()

    def _forget_what_follows(self) -> None:
        """Read what came after the last request: unread bytes would make the close destroy the answer (RFC 9112, section 9.6)."""
        if self.scheme == "http":
            with suppress(OSError):  # nothing is there
                os.read(self.transport.get_extra_info("socket").fileno(), MAX_OUTSIDE)

    def _ignore_upgrade(self) -> bool:
        """Parse the head again without the upgrade; return whether the request can be served."""
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._refuse("This server is not a proxy.")
            return False
        version = self.parser.get_http_version().encode()
        fields = [name + b": " + value + b"\r\n" for name, value in self.headers if name != b"upgrade"]
        head = b"".join([method, b" ", self.url, b" HTTP/", version, b"\r\n", *fields, b"\r\n"])
        self._replace_parser()
        self.parser.feed_data(head)
        return True

    def _replace_parser(self) -> None:
        """Begin with the head of a request, as lenient as uvicorn's own parser."""
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._outside = 0

    def _refuse(self, message: str) -> None:
        """Answer bytes that are not a request, and close; an answer under way is finished first."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if self.transport.is_closing():
            return
        if self._is_refused:
            self.flow.pause_reading()
        elif cycle is None or cycle.response_complete:
            self._send_error(BAD_REQUEST, message)
        elif cycle.more_body:
            self._refuse_content(cycle)
        else:
            self._is_refused = True
            cycle.keep_alive = False
            self.flow.pause_reading()

    def _refuse_content(self, cycle: RequestResponseCycle) -> None:
        """Answer broken content in place of the application; what came before is kept."""
        if cycle.response_started:
            self.transport.abort()
            return
        cycle.disconnected = True
        cycle.waiting_for_100_continue = False
        cycle.message_event.set()
        if self.pipeline:  # earlier requests are answered first, then the connection ends
            self.pipeline.popleft()
            self._cycles[-2].keep_alive = False
            self._is_refused = True
            self.flow.pause_reading()
        elif is_coding_known(cycle.scope["headers"]):
            self._send_error(BAD_REQUEST, "Invalid chunk of content received.")
        else:  # RFC 9112, section 6.1
            self._send_error(NOT_IMPLEMENTED, "The only transfer coding is chunked.")

    def _refuse_connection(self) -> None:
        """Refuse a connection beyond the budget, without waiting long."""
        self._ends = True
        self._send_error(UNAVAILABLE, "Too many connections; try again in a moment.")
        if len(self.connections) > self._descriptors.refused:
            self._forget_what_follows()
            self.transport.close()

    def _send_error(self, status: int, message: str) -> None:
        """Send an answer without a request, and close."""
        self._is_refused = True
        self._outlet.write(refusal(status, message, _FIELDS.date))
        self._close()

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self._head_timeout, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
