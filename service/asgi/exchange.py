"""
One exchange: a request, its content, and the way back to its client.
"""

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
from holdfast.service.core.principals import Principal
from holdfast.service.protocols.http.wire import RETRY_AFTER, Dialect, Fields, ProtocolError, Request, Response

logger = logging.getLogger("holdfast")

C = TypeVar("C")
Out = TypeVar("Out")
Perform = Callable[[Principal, C, RequestContent], Awaitable[Out]]
"""Does what a caller asks by a command; the content is that of the request."""

KiB = 1024
SECONDS = 1.0
# A client that is refused in the middle of sending gets this much grace to notice; then the connection is closed on it.
DISCARD = 16 * 1024 * KiB
# Content that is refused but hardly larger than its head is read, to keep the connection.
SMALL = 64 * KiB
DISCARD_WAIT = 2 * SECONDS
# No dialect tells the time of an answer any finer.
FINEST = 1 * SECONDS

NO_CONTENT = (204, 304)
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Exchange:
    """
    A request, and how it is answered: once, by `respond`, or by `start` and what is sent after it.
    """

    __slots__ = ("_answers", "content", "extension", "receive", "request", "scope", "send", "started")

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, *, request: Request, content: RequestContent, answers: LargeAnswers
    ) -> None:
        """Large answers are counted among *answers*."""
        self._answers = answers
        self.scope = scope
        self.receive = receive
        self.send = send
        self.request = request
        """The head; its principal and its tenant are known once it is admitted."""
        self.content = content
        self.extension = content.extension
        self.started = False
        """Whether the head of the answer was sent."""

    async def converse(self, dialect: Dialect[C, Out], perform: Perform[C, Out], *, keyed: bool) -> None:
        """
        Answer in *dialect*, whose commands *perform* does; *keyed* says whether the URL names an upload.

        :raises ProtocolError, UploadError: the request is refused; nothing was sent.
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
            outcome = await perform(request.principal, command, self.content)
            now = time.time()
            if now - request.now >= FINEST:
                request = dataclasses.replace(request, now=now)
            response = dialect.send(request, command, outcome)
        await self.respond(response)

    async def respond(self, response: Response) -> None:
        """
        Send *response*, and see to what is left of the request's content.

        :raises ProtocolError: too many large answers are on their way; nothing was sent.
        """
        # The method that came decides, whatever is meant by it: that tells the client where the answer ends.
        body = response.content if self.scope["method"] != "HEAD" else b""
        large = None
        if len(body) > BLOCK:
            large = self._answers.begin(body, _nothing if self.extension is None else self.extension.abort)
            if large is None:
                message = "too many large answers wait for their clients; try again in a moment"
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
                # What follows on this connection would be taken for the next request.
                headers.append((b"connection", b"close"))
            await self.start(response.status, headers)
            if unread and may_discard and not content.is_dropped:
                # If we close while the client sends, its system drops our answer (RFC 9112, section 9.6).
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
        """
        Send the head of the answer.
        """
        self.started = True
        await self.send({"type": "http.response.start", "status": status, "headers": headers})


def encode_fields(fields: Fields) -> list[tuple[bytes, bytes]]:
    """
    Return *fields* as ASGI wants them.
    """
    # Nothing that a client said may end a field (RFC 9110, section 5.5); each dialect sees to that, and here it is seen to again.
    return [(name.lower().encode("latin-1"), _CONTROLS.sub(" ", value).encode("latin-1", "replace")) for name, value in fields]


def _nothing() -> None:
    """Cut nothing: this server has no way to close a connection."""


async def _read_document(content: RequestContent, limit: int) -> bytes:
    """Return content that belongs to the request itself, whole."""
    if content.length is not None and content.length > limit:
        raise ProtocolError(413, "document_too_large", f"the document is limited to {limit} bytes")
    document = b""
    while not content.ended and content.stopped is None:
        document += await content.read(limit + 1 - len(document))
        if len(document) > limit:
            raise ProtocolError(413, "document_too_large", f"the document is limited to {limit} bytes")
    if not content.ended:
        raise ProtocolError(408, "document_cut", "the document did not come whole")
    return document
