"""
The content of a complete upload, whole or in part.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager

from starlette.types import Message, Receive, Send

from holdfast.service.asgi.exchange import Exchange, encode_fields
from holdfast.service.asgi.receiving.connection import ConnectionExtension
from holdfast.service.asgi.serving.texts import Texts
from holdfast.service.core.access.authorised import View
from holdfast.service.core.errors import UploadError, UploadNotFound
from holdfast.service.core.uploads.views import UploadViews
from holdfast.service.core.verbs import Verbs
from holdfast.service.health.stores import StoreHealth
from holdfast.service.protocols.http.representation import in_front, offered, redirect, select
from holdfast.service.protocols.http.wire import Fields, ProtocolError, Request, Response
from holdfast.storage.records import Ref, State, UploadRecord

logger = logging.getLogger("holdfast")

NOTHING: Message = {"type": "http.response.body", "body": b"", "more_body": True}
Sanitised = Callable[[Request, View], Awaitable[Response | None]]
"""Returns what is shown of an attachment instead of its content, if something is."""


RedirectUrl = Callable[[UploadRecord, str, str], str]
"""Returns the URL of complete content, sent under a disposition and a media type."""
AccelPath = Callable[[UploadRecord], str]
"""Returns the path of complete content, for a server in front of us."""


class Downloads:
    """
    Answers with content, or with the way to it.
    """

    def __init__(
        self,
        verbs: Verbs,
        texts: Texts,
        sanitised: Sanitised,
        store_health: StoreHealth,
        *,
        idle_timeout: float,
        redirect_url: RedirectUrl | None = None,
        accel_path: AccelPath | None = None,
    ) -> None:
        """
        A client that reads nothing for *idle_timeout* seconds is cut off.  *redirect_url* says where the store itself serves
        complete content, *accel_path* where an nginx in front does.
        """
        self._verbs = verbs
        self._texts = texts
        self._sanitised = sanitised
        self._store_health = store_health
        self._idle_timeout = idle_timeout
        self._redirect_url = redirect_url
        self._accel_path = accel_path

    async def respond(self, exchange: Exchange, fields: Fields = ()) -> None:
        """
        Send the content that the request asks for, with *fields* besides its own.

        :raises UploadError, ProtocolError: there is none, or not for this client; nothing was sent.
        """
        request, extension = exchange.request, exchange.extension
        view = await complete(self._verbs, request)
        other = await self._sanitised(request, view)
        if other is not None:
            await exchange.respond(other)
            return
        record = await self._texts.described(view.record)
        # The method that came decides, whatever is meant by it: behind the head of an answer to HEAD the next answer begins.
        method = exchange.scope["method"]
        selection = select(record, method, request.fields, request.now)
        start, stop = (selection.start, selection.stop) if method == "GET" else (0, 0)
        if self._redirect_url is not None and start < stop and view.redirects:
            await exchange.respond(redirect(self._redirect_url(record, *offered(record))))
            return
        # nginx takes no Content-Encoding over from an answer of ours.
        is_plain = record.content_encoding is None
        if self._accel_path is not None and start < stop and is_plain and "if-range" not in request.fields:
            await exchange.respond(in_front(selection, fields, self._accel_path(record)))
            return
        async with _source(self._verbs.views, extension, view, start, stop) as source:
            # The first block is here before the head goes out: a store that fails can still say so.
            first = await anext(source, b"") if not isinstance(source, int) else b""
            await exchange.start(selection.status, encode_fields((*selection.fields, *fields)))
            with _broken_off(extension, self._store_health):
                if isinstance(source, int):
                    assert extension is not None  # noqa: S101 - else there would be no file
                    await extension.send_file(source, start, stop, self._idle_timeout)
                    await exchange.send({"type": "http.response.body", "body": b"", "more_body": False})
                else:
                    await _send_blocks(first, source, exchange.receive, _impatient(exchange.send, self._idle_timeout))


async def complete(verbs: Verbs, request: Request) -> View:
    """
    Return the attachment that *request* asks for, finished if that is all it needs.

    :raises UploadError, ProtocolError: there is none, or not for this client.
    """
    if request.key is None:
        raise UploadNotFound("there is no such upload")
    view = await verbs.view(request.principal, Ref(tenant=request.tenant, key=request.key))
    if view.record.state is not State.COMPLETE:
        raise ProtocolError(404, "upload_incomplete", "the upload is not complete yet")
    return view


@asynccontextmanager
async def _source(
    views: UploadViews, extension: ConnectionExtension | None, view: View, start: int, stop: int
) -> AsyncGenerator[int | AsyncIterator[bytes], None]:
    """Have where the content comes from: an open file, if there is one and the server can send it by itself, else blocks."""
    async with AsyncExitStack() as stack:
        if extension is not None and extension.sends_files and start < stop:
            file = await stack.enter_async_context(views.file(view))
            if file is not None:
                yield file
                return
        yield await stack.enter_async_context(aclosing(_content(views, view, start, stop)))


async def _content(views: UploadViews, view: View, start: int, stop: int) -> AsyncGenerator[bytes, None]:
    if start < stop:
        async with aclosing(views.read(view, start, stop)) as blocks:
            async for block in blocks:
                yield bytes(block)


@contextmanager
def _broken_off(extension: ConnectionExtension | None, store_health: StoreHealth) -> Iterator[None]:
    """Let the client see that its response is cut, so that it may ask for the rest, and go on as if nothing had happened."""
    try:
        yield
    except (UploadError, TimeoutError, ConnectionError, EOFError, asyncio.CancelledError) as error:
        # The store failed, the client does not read or has disconnected, or the grace of a shutdown is over.
        store_health.notice(error)
        if extension is None:
            raise
        if isinstance(error, EOFError):
            logger.error("a download was broken off: %s", error)  # noqa: TRY400 - where it was raised tells nothing
        extension.abort()


async def _send_blocks(first: bytes, blocks: AsyncIterator[bytes], receive: Receive, send: Send) -> None:
    # `send` does not raise when the client disconnects; a task beside it waits for the message that says so.
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        await send({"type": "http.response.body", "body": first, "more_body": True})
        # An empty message is taken when the one before has gone: until then no other block is read, and none is held.
        await send(NOTHING)
        async for block in blocks:
            if gone.done():
                return
            await send({"type": "http.response.body", "body": block, "more_body": True})
            await send(NOTHING)
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        gone.cancel()


def _impatient(send: Send, timeout: float) -> Send:
    """Return *send* with a bound on how long the client may not read."""

    async def send_in_time(message: Message) -> None:
        async with asyncio.timeout(timeout):
            await send(message)

    return send_in_time


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
