"""
The content of a complete upload, whole or in part.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing

from starlette.types import Message, Receive, Scope, Send

from service.asgi.door import Door, door_of
from service.asgi.driver import Driver, encode_fields
from service.core.commands import Completes, GetOffset
from service.core.errors import UploadError, UploadNotFound
from service.core.uploads import Uploads
from service.protocols.representation import elsewhere, offered, select
from service.protocols.wire import Fields, ProtocolError, Request, Response, UploadDialect
from storage.records import Ref, State, UploadRecord

Sanitised = Callable[[Request, UploadRecord], Awaitable[Response | None]]
"""Returns what is shown of an attachment instead of its content, if something is."""


async def download(
    driver: Driver,
    dialect: UploadDialect,
    sanitised: Sanitised,
    request: Request,
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    fields: Fields = (),
) -> Response | None:
    """
    Send the content that *request* asks for, with *fields* besides its own; return the answer where that is something else.
    """
    try:
        request = await driver.admit(request, scope)
        record = await complete(driver.uploads, request)
        other = await sanitised(request, record)
        if other is not None:
            return other
        selection = select(record, request.method, request.fields)
        start, stop = (selection.start, selection.stop) if request.method == "GET" else (0, 0)
        if driver.elsewhere is not None and start < stop:
            return elsewhere(driver.elsewhere(record, *offered(record)))
        blocks = _content(driver.uploads, record, start, stop)
        # The first block is here before the head goes out: a store that fails can still say so.
        first = await anext(blocks, b"")
    except (UploadError, ProtocolError) as error:
        return dialect.reject(request, error)
    async with aclosing(blocks):
        headers = encode_fields((*selection.fields, *fields))
        await send({"type": "http.response.start", "status": selection.status, "headers": headers})
        in_time = _impatient(send, driver.reception.idle_timeout)
        await _send_blocks(first, blocks, door_of(scope), receive, in_time)
    return None


async def complete(uploads: Uploads, request: Request) -> UploadRecord:
    """
    Return the attachment that *request* asks for, finished if that is all it needs.

    :raises UploadError, ProtocolError: there is none, or not for whoever asks.
    """
    if request.key is None:
        raise UploadNotFound("there is no such upload")
    ref = Ref(tenant=request.tenant, key=request.key)
    record = await uploads.get(ref, request.principal)
    if record.state is State.RECEIVED:
        record = (await uploads.offset(GetOffset(ref=ref, completes=Completes.LATER, principal=request.principal))).record
    if record.state is not State.COMPLETE:
        raise ProtocolError(404, "upload_incomplete", "the upload is not complete yet")
    return record


async def _content(uploads: Uploads, record: UploadRecord, start: int, stop: int) -> AsyncGenerator[bytes, None]:
    if start < stop:
        async with aclosing(uploads.read(record, start, stop)) as blocks:
            async for block in blocks:
                yield bytes(block)


async def _send_blocks(first: bytes, blocks: AsyncIterator[bytes], door: Door | None, receive: Receive, send: Send) -> None:
    # A server does not tell `send` that nobody listens any more; the message that says so is waited for beside.
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        await send({"type": "http.response.body", "body": first, "more_body": True})
        async for block in blocks:
            if gone.done():
                return
            await send({"type": "http.response.body", "body": block, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    except (UploadError, TimeoutError, asyncio.CancelledError):
        # The store failed, nobody reads, or the grace of a shutdown is over.  The client sees that its response is cut, and may
        # ask for the rest again.
        if door is None:
            raise
        door.abort()
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
