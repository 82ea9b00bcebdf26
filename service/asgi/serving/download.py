"""Downloads: the content of a complete upload, whole or a range."""

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
from holdfast.service.protocols.http.representation import accel_redirect, content_fields, redirect, select
from holdfast.service.protocols.http.wire import Fields, ProtocolError, Response
from holdfast.storage.records import Ref, State, UploadRecord

logger = logging.getLogger("holdfast")

NOTHING: Message = {"type": "http.response.body", "body": b"", "more_body": True}
Sanitised = Callable[[Exchange, View], Awaitable[Response | None]]
"""Returns the response to send instead of the original content; None to send the original."""


RedirectUrl = Callable[[UploadRecord, str, str], str]
"""Returns the URL of complete content in the store; the strings are Content-Disposition and Content-Type to send with it."""
AccelPath = Callable[[UploadRecord], str]
"""Returns the path of complete content for X-Accel-Redirect."""


class Downloads:
    """Answers with content, or with a redirect to it."""

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
        A client that reads nothing for *idle_timeout* seconds is disconnected.  *redirect_url*: the store itself serves complete
        content; *accel_path*: an nginx in front of the server does.
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
        Send the content that the request selects, with *fields* added.

        :raises UploadError, ProtocolError: the request is refused, and nothing was sent.
        """
        request, extension = exchange.request, exchange.extension
        view = await complete(self._verbs, exchange)
        other = await self._sanitised(exchange, view)
        if other is not None:
            await exchange.respond(other)
            return
        record = await self._texts.described(view.record)
        # The method on the wire counts, not X-HTTP-Method-Override: a response to HEAD ends after its head.
        method = exchange.scope["method"]
        selection = select(record, method, request.fields, request.now)
        start, stop = (selection.start, selection.stop) if method == "GET" else (0, 0)
        if self._redirect_url is not None and start < stop and view.redirects:
            await exchange.respond(redirect(self._redirect_url(record, *content_fields(record))))
            return
        # nginx does not copy Content-Encoding from the response.
        is_plain = record.content_encoding is None
        if self._accel_path is not None and start < stop and is_plain and "if-range" not in request.fields:
            await exchange.respond(accel_redirect(selection, fields, self._accel_path(record)))
            return
        async with _source(self._verbs.views, extension, view, start, stop) as source:
            # The first block is read before the head is sent, so that a failing store still leads to an error response.
            first = await anext(source, b"") if not isinstance(source, int) else b""
            await exchange.start(selection.status, encode_fields((*selection.fields, *fields)))
            with _abort_on_failure(extension, self._store_health):
                if isinstance(source, int):
                    assert extension is not None  # noqa: S101 - `_source` yields a file only with it
                    await extension.send_file(source, start, stop, self._idle_timeout)
                    await exchange.send({"type": "http.response.body", "body": b"", "more_body": False})
                else:
                    await _send_blocks(first, source, exchange.receive, _with_timeout(exchange.send, self._idle_timeout))


async def complete(verbs: Verbs, exchange: Exchange) -> View:
    """
    Return the complete attachment that the request names.

    :raises UploadError, ProtocolError: it does not exist, is incomplete, or the client may not see it.
    """
    request = exchange.request
    if request.key is None:
        raise UploadNotFound("there is no such upload")
    view = await verbs.view(exchange.principal, Ref(tenant=request.tenant, key=request.key))
    if view.record.state is not State.COMPLETE:
        raise ProtocolError(404, "upload_incomplete", "the upload is not complete; append the rest, then download it")
    return view


@asynccontextmanager
async def _source(
    views: UploadViews, extension: ConnectionExtension | None, view: View, start: int, stop: int
) -> AsyncGenerator[int | AsyncIterator[bytes], None]:
    """Yield an open file if the store has one and the server can send it, else an iterator of blocks."""
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
def _abort_on_failure(extension: ConnectionExtension | None, store_health: StoreHealth) -> Iterator[None]:
    """Abort the connection if sending fails, so that the client notices and can request the rest."""
    try:
        yield
    except (UploadError, TimeoutError, ConnectionError, EOFError, asyncio.CancelledError) as error:
        # The store failed, the client stopped reading or disconnected, or the shutdown grace is over.
        store_health.notice(error)
        if extension is None:
            raise
        if isinstance(error, EOFError):
            logger.error("the server aborted a download: %s", error)  # noqa: TRY400 - the traceback adds nothing
        extension.abort()


async def _send_blocks(first: bytes, blocks: AsyncIterator[bytes], receive: Receive, send: Send) -> None:
    # `send` does not raise when the client disconnects, so a task waits for http.disconnect.
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        await send({"type": "http.response.body", "body": first, "more_body": True})
        # The server accepts the empty message once the block was sent; only then is the next block read.
        await send(NOTHING)
        async for block in blocks:
            if gone.done():
                return
            await send({"type": "http.response.body", "body": block, "more_body": True})
            await send(NOTHING)
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        gone.cancel()


def _with_timeout(send: Send, timeout: float) -> Send:
    """Return *send*, which raises TimeoutError if the client reads nothing for *timeout* seconds."""

    async def send_in_time(message: Message) -> None:
        async with asyncio.timeout(timeout):
            await send(message)

    return send_in_time


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
