"""One exchange: a request, its content, and its response."""

from __future__ import annotations

import dataclasses
import logging
import re
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from starlette.types import Receive, Scope, Send

from holdfast.service.asgi.answers import BLOCK, LargeAnswers
from holdfast.service.asgi.receiving.content import RequestContent
from holdfast.service.core.errors import UploadNotFound
from holdfast.service.core.principals import UNADMITTED, Principal
from holdfast.service.protocols.http.wire import RETRY_AFTER, Dialect, Fields, ProtocolError, Request, Response

logger = logging.getLogger("holdfast")

C = TypeVar("C")
Out = TypeVar("Out")
Perform = Callable[[Principal, C, RequestContent], Awaitable[Out]]
"""Does a command for a principal, with the content of the request."""

KiB = 1024
SECONDS = 1.0
# A refused client that still sends may send this much more; then the server closes the connection.
DISCARD = 16 * 1024 * KiB
# Refused content smaller than this is read, to keep the connection open.
SMALL = 64 * KiB
DISCARD_WAIT = 2 * SECONDS
# No dialect sends times with a finer resolution.
FINEST = 1 * SECONDS

NO_CONTENT = (204, 304)
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Exchange:
    """A request that is answered once: by `respond`, or by `start` and the messages that the caller sends after it."""

    __slots__ = ("_answers", "content", "extension", "principal", "receive", "request", "scope", "send", "started")

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, *, request: Request, content: RequestContent, answers: LargeAnswers
    ) -> None:
        """*answers* bounds the memory of large responses."""
        self._answers = answers
        self.scope = scope
        self.receive = receive
        self.send = send
        self.request = request
        """The head; `Driver.admit` sets its tenant if the URL names none."""
        self.principal = UNADMITTED
        """The caller, set by `Driver.admit`."""
        self.content = content
        self.extension = content.extension
        self.started = False
        """Whether the head of the response was sent."""

    async def run(self, dialect: Dialect[C, Out], perform: Perform[C, Out], *, keyed: bool) -> None:
        """
        Read a command with *dialect*, let *perform* do it, and send the response; *keyed*: the URL has to name an upload.

        :raises ProtocolError, UploadError: the request is refused, and nothing was sent.
        """
        request = self.request
        if keyed and request.key is None:
            raise UploadNotFound("there is no such upload")
        limit = dialect.document_limit(request)
        if limit:
            request = self.request = dataclasses.replace(request, document=await _read_document(self.content, limit))
        command = dialect.receive(request)
        if isinstance(command, Response):
            response = command
        else:
            outcome = await perform(self.principal, command, self.content)
            now = time.time()
            if now - request.now >= FINEST:
                request = dataclasses.replace(request, now=now)
            response = dialect.send(request, command, outcome)
        await self.respond(response)

    async def respond(self, response: Response) -> None:
        """
        Send *response*, and discard content of the request that was not read.

        :raises ProtocolError: 503, too many large answers are being sent; nothing of this one was sent.
        """
        # The method on the wire counts, not X-HTTP-Method-Override: by it the client finds the end of the response.
        body = response.content if self.scope["method"] != "HEAD" else b""
        large = None
        if len(body) > BLOCK:
            large = self._answers.begin(body, _nothing if self.extension is None else self.extension.abort)
            if large is None:
                message = "the server is sending too many large answers; try again in a moment"
                raise ProtocolError(503, "answers_waiting", message, (("Retry-After", RETRY_AFTER),))
        try:
            logger.debug("%s %r %d", self.request.method, self.request.path, response.status)
            headers = encode_fields(response.fields)
            if self.scope["method"] != "HEAD" and response.status not in NO_CONTENT:
                headers.append((b"content-length", b"%d" % len(body)))
            content = self.content
            may_discard = content.asked or "expect" not in self.request.fields
            if not content.ended and content.stopped is None and may_discard and (content.length or DISCARD) < SMALL:
                await content.discard(SMALL, DISCARD_WAIT)
            unread = not content.ended
            if unread:
                # The rest of the content would be parsed as the next request.
                headers.append((b"connection", b"close"))
            await self.start(response.status, headers)
            if unread and may_discard and not content.is_dropped:
                # If the server closes while the client sends, the client's system drops the response (RFC 9112, section 9.6).
                await self.send({"type": "http.response.body", "body": body, "more_body": True})
                await content.discard(DISCARD, DISCARD_WAIT)
                body = b""
            elif large is not None:
                for block in large.blocks():
                    part = block if content.is_dropped else bytes(block)
                    await self.send({"type": "http.response.body", "body": part, "more_body": True})
                body = b""
            await self.send({"type": "http.response.body", "body": body, "more_body": False})
        finally:
            if large is not None:
                large.end()

    async def start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Send the head of the response."""
        self.started = True
        await self.send({"type": "http.response.start", "status": status, "headers": headers})


def encode_fields(fields: Fields) -> list[tuple[bytes, bytes]]:
    """Return *fields* as ASGI headers."""
    # No value from a client may end a field (RFC 9110, section 5.5).  Dialects ensure this; this is the second check.
    return [(name.lower().encode("latin-1"), _CONTROLS.sub(" ", value).encode("latin-1", "replace")) for name, value in fields]


def _nothing() -> None:
    """Do nothing: this server offers no way to close a connection."""


async def _read_document(content: RequestContent, limit: int) -> bytes:
    """Return the whole content, at most *limit* bytes."""
    if content.length is not None and content.length > limit:
        raise ProtocolError(413, "document_too_large", f"the document is limited to {limit} bytes")
    document = b""
    while not content.ended and content.stopped is None:
        document += await content.read(limit + 1 - len(document))
        if len(document) > limit:
            raise ProtocolError(413, "document_too_large", f"the document is limited to {limit} bytes")
    if not content.ended:
        raise ProtocolError(408, "document_cut", "the content ended before the document was complete")
    return document
