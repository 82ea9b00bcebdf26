"""The steps of every request: read the head, authenticate, run the handler, and turn errors into a response of the dialect."""

from __future__ import annotations

import dataclasses
import functools
import logging
import re
from collections.abc import Awaitable, Callable

from starlette.types import Receive, Scope, Send

from holdfast.service.asgi.answers import LargeAnswers
from holdfast.service.asgi.exchange import C, Exchange, Out, Perform
from holdfast.service.asgi.proxies import Proxies
from holdfast.service.asgi.receiving.content import RequestContent
from holdfast.service.asgi.receiving.timers import ReceiveTimers
from holdfast.service.asgi.requests import read_request, refuse_head
from holdfast.service.core.access.rights import tenant_of
from holdfast.service.core.errors import UploadError, UploadNotFound
from holdfast.service.core.limits import Limits
from holdfast.service.core.principals import Principal
from holdfast.service.health.stores import StoreHealth
from holdfast.service.protocols.http.wire import Dialect, ProtocolError, Request, Response
from holdfast.storage.keys import parse_key
from holdfast.storage.records import Tenant

logger = logging.getLogger("holdfast")

Authenticate = Callable[[Request], Awaitable[Principal]]
"""Returns the principal; raises ProtocolError if the client cannot be authenticated."""
Handler = Callable[[Exchange], Awaitable[None]]
"""Answers an admitted request; raises ProtocolError or UploadError to refuse it."""
Reject = Callable[[Request, ProtocolError | UploadError], Response]
"""Returns the response of a dialect to an error."""

# Names of tenants in tokens and URLs; they become part of URLs and of names in stores.
_TENANT = re.compile(r"[^\x00-\x20\x7f/?#%&]{1,255}")


class Driver:
    """Takes a request from its head, through authentication, to its answer; it contains no rule about uploads."""

    def __init__(
        self,
        authenticate: Authenticate,
        tenant: Tenant,
        limits: Limits,
        *,
        proxies: Proxies,
        timers: ReceiveTimers,
        store_health: StoreHealth,
        answers: LargeAnswers,
    ) -> None:
        """*tenant* is used when neither URL nor token names one; failures of stores are reported to *store_health*."""
        self._authenticate = authenticate
        self._tenant = tenant
        self._limits = (limits.max_size, min(limits.idle_expiry, limits.final_expiry))
        self._proxies = proxies
        self._timers = timers
        self._store_health = store_health
        self._answers = answers

    def begin(
        self, scope: Scope, receive: Receive, send: Send, *, tenant: Tenant | None = None, key: str | None = None
    ) -> Exchange:
        """Return the exchange of a request whose URL names *tenant* and *key*; a malformed key counts as an unknown one."""
        request = read_request(
            scope,
            tenant=self._tenant if tenant is None else tenant,
            tenant_named=tenant is not None,
            key=None if key is None else parse_key(key),
            proxies=self._proxies,
            limits=self._limits,
        )
        content = RequestContent(scope, receive, request.content_length, self._timers)
        return Exchange(scope, receive, send, request=request, content=content, answers=self._answers)

    async def answer(self, exchange: Exchange, reject: Reject, handler: Handler, *, is_public: bool = False) -> None:
        """
        Admit the request and let *handler* answer it; *reject* answers errors.

        With *is_public*, the client is not authenticated.
        """
        try:
            if is_public:
                refuse_head(exchange.scope)
            else:
                await self.admit(exchange)
            await handler(exchange)
        except (ProtocolError, UploadError) as error:
            self._store_health.notice(error)
            if exchange.started:
                raise
            await exchange.respond(reject(exchange.request, error))
        except Exception:
            if exchange.started:
                raise
            request = exchange.request
            logger.exception("%s %s failed", request.method, request.path)
            fault = ProtocolError(500, "internal_error", "the server failed; its log says why")
            await exchange.respond(reject(request, fault))
        finally:
            exchange.content.close()

    async def run(self, exchange: Exchange, dialect: Dialect[C, Out], perform: Perform[C, Out], *, keyed: bool) -> None:
        """Admit the request, then run it in *dialect*; see `Exchange.run`."""
        handler = functools.partial(Exchange.run, dialect=dialect, perform=perform, keyed=keyed)
        await self.answer(exchange, dialect.reject, handler)

    async def admit(self, exchange: Exchange) -> None:
        """
        Set the principal of *exchange*, and the principal's tenant if the URL names none.

        :raises ProtocolError: the head is refused, or the client cannot be authenticated.
        :raises UploadNotFound: the principal has no access to the tenant.
        """
        request = exchange.request
        refuse_head(exchange.scope)
        if not _TENANT.fullmatch(request.tenant):
            raise UploadNotFound("there is nothing here")  # as of a tenant without access
        if request.method == "OPTIONS":  # browsers send preflights without credentials
            return
        exchange.principal = await self._authenticate(request)
        tenant = tenant_of(exchange.principal, request.tenant, is_named=request.tenant_named)
        if tenant != request.tenant:
            exchange.request = dataclasses.replace(request, tenant=tenant)


def refusing(error: ProtocolError) -> Handler:
    """Return a handler that raises *error*."""

    async def refuse(_exchange: Exchange) -> None:
        raise error

    return refuse


def refuse_writing(request: Request, what: str) -> None:
    """
    Refuse methods other than GET and HEAD; *what* names the resources in the message.

    :raises ProtocolError: 405, with the methods that are allowed.
    """
    if request.method not in ("GET", "HEAD"):
        raise ProtocolError(405, "method_not_allowed", f"{what} support GET and HEAD only", (("Allow", "GET, HEAD"),))
