"""Images to show: under immutable URLs, and under URLs that redirect to these."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from starlette.types import Receive, Scope, Send

from holdfast.service.asgi.driver import Driver, Reject, refuse_writing
from holdfast.service.asgi.exchange import Exchange
from holdfast.service.protocols.http.wire import Response
from holdfast.storage.records import Tenant

Show = Callable[[Exchange, Mapping[str, str]], Awaitable[Response]]
"""Returns the response to an admitted GET or HEAD; the mapping holds the parameters of the path by name."""


class Picture:
    """One kind of picture URL: *show* answers, *reject* answers errors, *tenant* returns the tenant that the URL names."""

    def __init__(
        self,
        driver: Driver,
        reject: Reject,
        show: Show,
        tenant: Callable[[Scope], Tenant | None] = lambda _scope: None,
        *,
        is_public: bool = False,
    ) -> None:
        self._driver = driver
        self._reject = reject
        self._show = show
        self._tenant = tenant
        self._is_public = is_public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = scope["path_params"].get("key")
        exchange = self._driver.begin(scope, receive, send, tenant=self._tenant(scope), key=key)
        await self._driver.answer(exchange, self._reject, self._answer, is_public=self._is_public)

    async def _answer(self, exchange: Exchange) -> None:
        refuse_writing(exchange.request, "pictures")
        await exchange.respond(await self._show(exchange, exchange.scope["path_params"]))
