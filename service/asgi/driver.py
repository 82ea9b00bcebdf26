"""
One exchange: receive the request, ask the core, send the response.  No rule lives here.
"""

from __future__ import annotations

import dataclasses
import logging
import re
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from starlette.types import Receive, Scope, Send

from holdfast.service.asgi.answers import BLOCK, Answer, Answers
from holdfast.service.asgi.proxies import Proxies
from holdfast.service.asgi.receiving.connection import ConnectionExtension, extension_of
from holdfast.service.asgi.receiving.content import RequestContent
from holdfast.service.asgi.receiving.decoding import DecodedContent
from holdfast.service.asgi.receiving.timers import ReceiveTimers
from holdfast.service.asgi.requests import read_request, refuse_head
from holdfast.service.asgi.texts import Texts
from holdfast.service.core.commands import (
    Append,
    Cancel,
    Command,
    Create,
    FiledCommand,
    FiledOutcome,
    GetObject,
    GetOffset,
    ObjectOutcome,
    Outcome,
    PictureCommand,
)
from holdfast.service.core.errors import ContentCut, UploadError, UploadNotFound
from holdfast.service.core.filing import Filing
from holdfast.service.core.pictures import Pictures
from holdfast.service.core.policies import Policies
from holdfast.service.core.principals import Principal
from holdfast.service.core.uploads.uploads import Uploads
from holdfast.service.health.stores import StoreHealth
from holdfast.service.protocols.http.wire import RETRY_AFTER, Dialect, Fields, ProtocolError, Request, Response
from holdfast.storage.keys import parse_key
from holdfast.storage.records import Tenant, UploadRecord

logger = logging.getLogger("holdfast")

C = TypeVar("C")
Out = TypeVar("Out")
Perform = Callable[[C, RequestContent], Awaitable[Out]]
Authenticate = Callable[[Request], Awaitable[Principal]]
"""Says who asks; raises ProtocolError where that is nobody who is known."""

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
# What tokens and URLs may call a tenant; it becomes a part of URLs and of names in stores.
_TENANT = re.compile(r"[^\x00-\x20\x7f/?#%&]{1,255}")
_TOO_MANY = ProtocolError(
    503,
    "answers_waiting",
    "too many large answers wait for their clients; try again in a moment",
    (("Retry-After", RETRY_AFTER),),
)
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


RedirectUrl = Callable[[UploadRecord, str, str], str]
"""Returns the URL of complete content, sent under a disposition and a media type."""
AccelPath = Callable[[UploadRecord], str]
"""Returns the path of complete content, for a server in front of us."""


class Driver:
    """
    Leads requests of any dialect through the core.
    """

    def __init__(
        self,
        uploads: Uploads,
        filing: Filing,
        pictures: Pictures,
        policies: Policies,
        authenticate: Authenticate,
        *,
        proxies: Proxies,
        timers: ReceiveTimers,
        store_health: StoreHealth,
        redirect_url: RedirectUrl | None = None,
        accel_path: AccelPath | None = None,
    ) -> None:
        """
        *weather* hears of every store that fails.  *redirect_url* says where the store itself serves complete
        content, *accel_path* where an nginx in front does.
        """
        self.uploads = uploads
        self.texts = Texts(uploads)
        self.filing = filing
        self._pictures = pictures
        self._policies = policies
        self._authenticate = authenticate
        self._proxies = proxies
        self.timers = timers
        self.store_health = store_health
        self.redirect_url = redirect_url
        self.accel_path = accel_path
        self.answers = Answers()

    def request(self, scope: Scope, *, tenant: Tenant, key: str | None, tenant_named: bool = True) -> Request:
        """
        Return the head of a request; a *key* that cannot be one names nothing.
        """
        limits = self.uploads.limits
        return read_request(
            scope,
            tenant=tenant,
            tenant_named=tenant_named,
            key=None if key is None else parse_key(key),
            proxies=self._proxies,
            limits=(limits.max_size, min(limits.idle_expiry, limits.final_expiry)),
        )

    async def admit(self, request: Request, scope: Scope) -> Request:
        """
        Return *request* with who asks, whose tenant it is, where the URL names none.

        :raises ProtocolError: the head is refused, or nobody who is known asks.
        :raises UploadNotFound: the tenant is another's, so there is nothing to be seen of it.
        """
        if request.answered:
            return request
        refuse_head(scope)
        if not _TENANT.fullmatch(request.tenant):
            raise UploadNotFound("there is nothing here")
        if request.method == "OPTIONS":  # asked by browsers on their own, and answered without looking at anything
            return request
        principal = await self._authenticate(request)
        tenant = request.tenant if request.tenant_named or principal.tenant is None else principal.tenant
        if principal.tenant not in (None, tenant):
            raise UploadNotFound("there is nothing here")
        if principal is request.principal and tenant == request.tenant:
            return request
        return dataclasses.replace(request, principal=principal, tenant=tenant)

    async def exchange(
        self,
        dialect: Dialect[C, Out],
        perform: Perform[C, Out],
        request: Request,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        keyed: bool,
    ) -> None:
        """
        Answer one request of *dialect*, whose commands *perform* does; *keyed* says whether its URL names an upload.
        """
        content = RequestContent(scope, receive, request.content_length, self.timers)
        answer: Answer | None = None
        try:
            response = await self._answer(dialect, perform, request, scope, content, keyed=keyed)
            has_content = scope["method"] != "HEAD"
            if has_content and len(response.content) > BLOCK:
                answer = self.answers.begin(response.content, _cut(extension_of(scope)))
                if answer is None:
                    response = dialect.reject(request, _TOO_MANY)
            logger.debug("%s %r %d", request.method, request.path, response.status)
            await self._respond(request, response, content, answer, send, has_content=has_content)
        finally:
            if answer is not None:
                answer.end()
            content.close()

    async def _answer(
        self,
        dialect: Dialect[C, Out],
        perform: Perform[C, Out],
        request: Request,
        scope: Scope,
        content: RequestContent,
        *,
        keyed: bool,
    ) -> Response:
        try:
            request = await self.admit(request, scope)
            if keyed and request.key is None:
                raise UploadNotFound("there is no such upload")
            limit = dialect.document_limit(request)
            if limit:
                request = dataclasses.replace(request, document=await _read_document(content, limit))
            command = dialect.receive(request)
            if isinstance(command, Response):
                return command
            outcome = await perform(command, content)
            now = time.time()
            if now - request.now >= FINEST:
                request = dataclasses.replace(request, now=now)
            return dialect.send(request, command, outcome)
        except (ProtocolError, UploadError) as error:
            self.store_health.notice(error)
            return dialect.reject(request, error)
        except Exception:
            logger.exception("%s %s failed", request.method, request.path)
            return dialect.reject(request, ProtocolError(500, "internal_error", "something went wrong on our side"))

    async def perform(self, command: Command, content: RequestContent) -> Outcome:
        """
        Do what is asked of an upload.
        """
        match command:
            case Create():
                return await self.uploads.create(command, content)
            case Append():
                return await self.uploads.append(command, content)
            case GetOffset():
                return await self.uploads.offset(command)
            case Cancel():
                return await self.uploads.cancel(command)

    async def perform_filed(self, command: FiledCommand, _content: RequestContent) -> FiledOutcome:
        """
        Do what is asked of attachments, objects and slots.
        """
        return await self.filing.perform(command)

    async def perform_picture(self, command: PictureCommand, content: RequestContent, member: str) -> ObjectOutcome:
        """
        Do what is asked of the picture of an object, which comes as base64 in *member* of a JSON object.
        """
        if isinstance(command, GetObject):
            outcome = await self.filing.perform(command)
            assert isinstance(outcome, ObjectOutcome)  # noqa: S101 - what this command comes to
            return outcome
        decoded = DecodedContent(content, member, self._policies.of(command.slot).max_bytes)
        try:
            return await self._pictures.set(command, decoded)
        except ContentCut:
            if decoded.error is not None:
                raise decoded.error from None
            raise

    async def _respond(
        self,
        request: Request,
        response: Response,
        content: RequestContent,
        answer: Answer | None,
        send: Send,
        *,
        has_content: bool,
    ) -> None:
        """*has_content* is about the method that came, whatever is meant by it: that tells the client where the answer ends."""
        headers = encode_fields(response.fields)
        body = response.content if has_content else b""
        if has_content and response.status not in NO_CONTENT:
            headers.append((b"content-length", b"%d" % len(body)))
        may_discard = content.asked or "expect" not in request.fields
        if not content.ended and content.stopped is None and may_discard and (content.length or DISCARD) < SMALL:
            await content.discard(SMALL, DISCARD_WAIT)
        unread = not content.ended
        if unread:
            # What follows on this connection would be taken for the next request.
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        if unread and may_discard and not content.is_dropped:
            # Closing on a client that still sends makes its system throw our answer away (RFC 9112, section 9.6).
            await send({"type": "http.response.body", "body": body, "more_body": True})
            await content.discard(DISCARD, DISCARD_WAIT)
            body, answer = b"", None
        if answer is not None:
            for block in answer.blocks():
                await send(
                    {"type": "http.response.body", "body": block if content.is_dropped else bytes(block), "more_body": True}
                )
            body = b""
        await send({"type": "http.response.body", "body": body, "more_body": False})


def _cut(extension: ConnectionExtension | None) -> Callable[[], None]:
    return (lambda: None) if extension is None else extension.abort


def encode_fields(fields: Fields) -> list[tuple[bytes, bytes]]:
    """
    Return *fields* as ASGI wants them.
    """
    # Nothing that a client said may end a field (RFC 9110, section 5.5); each dialect sees to that, and here it is seen to again.
    return [(name.lower().encode("latin-1"), _CONTROLS.sub(" ", value).encode("latin-1", "replace")) for name, value in fields]


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
