"""
How every request is led: its head is read, it is admitted, answered, and what is wrong is said in the shape of its dialect.
"""

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
"""Returns who the client is; raises ProtocolError where it is not known."""
Handler = Callable[[Exchange], Awaitable[None]]
"""Answers an admitted request; raises ProtocolError or UploadError where it is refused."""
Reject = Callable[[Request, ProtocolError | UploadError], Response]
"""Says what is wrong, in the shape of a dialect."""

# What tokens and URLs may call a tenant; it becomes a part of URLs and of names in stores.
_TENANT = re.compile(r"[^\x00-\x20\x7f/?#%&]{1,255}")


class Driver:
    """
    Leads requests: from the head, through admission, to an answer or a refusal.  No rule of uploads lives here.
    """

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
        """Where neither URL nor token names one, *tenant* is meant.  *store_health* hears of every store that fails."""
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
        """
        Return the exchange of a request whose URL names *tenant* and *key*; a key that cannot be one names nothing.
        """
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
        Let *handler* answer the request if it is admitted; *reject* says what is wrong, if anything is.

        What is public is answered to every client.
        """
        try:
            if is_public:
                refuse_head(exchange.scope)
            else:
                exchange.request = await self.admit(exchange.request, exchange.scope)
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
            fault = ProtocolError(500, "internal_error", "something went wrong on our side")
            await exchange.respond(reject(request, fault))
        finally:
            exchange.content.close()

    async def converse(self, exchange: Exchange, dialect: Dialect[C, Out], perform: Perform[C, Out], *, keyed: bool) -> None:
        """
        Answer in *dialect*; see `Exchange.converse`.
        """
        handler = functools.partial(Exchange.converse, dialect=dialect, perform=perform, keyed=keyed)
        await self.answer(exchange, dialect.reject, handler)

    async def admit(self, request: Request, scope: Scope) -> Request:
        """
        Return *request* with its principal, and with the tenant of that one where the URL names none.

        :raises ProtocolError: the head is refused, or the client is not known.
        :raises UploadNotFound: the tenant is another's, so there is nothing to be seen of it.
        """
        refuse_head(scope)
        if not _TENANT.fullmatch(request.tenant):
            raise UploadNotFound("there is nothing here")
        if request.method == "OPTIONS":  # asked by browsers on their own, and answered without looking at anything
            return request
        principal = await self._authenticate(request)
        tenant = tenant_of(principal, request.tenant, is_named=request.tenant_named)
        return dataclasses.replace(request, principal=principal, tenant=tenant)


def refusing(error: ProtocolError) -> Handler:
    """
    Return what answers with *error* whatever is asked.
    """

    async def refuse(_exchange: Exchange) -> None:
        raise error

    return refuse


def refuse_writing(request: Request, what: str) -> None:
    """
    Refuse a request that does anything else than read; *what*, in the message, is what it asks for.

    :raises ProtocolError: 405, with the methods that read.
    """
    if request.method not in ("GET", "HEAD"):
        raise ProtocolError(405, "method_not_allowed", f"{what} are only read", (("Allow", "GET, HEAD"),))
