"""Uploads and downloads under ``/files``."""

from __future__ import annotations

import dataclasses
import functools

from starlette.types import Receive, Scope, Send

from holdfast.service.asgi.driver import Driver, refusing
from holdfast.service.asgi.exchange import Exchange
from holdfast.service.asgi.receiving.content import RequestContent
from holdfast.service.asgi.requests import key_of
from holdfast.service.asgi.serving.download import Downloads
from holdfast.service.asgi.serving.texts import Texts
from holdfast.service.core.commands import Command, Outcome
from holdfast.service.core.principals import Principal
from holdfast.service.core.verbs import Verbs
from holdfast.service.protocols.http.wire import ProtocolError, UploadDialect
from holdfast.service.protocols.uploads import files


class Files:
    """``/files`` and ``/files/{key}``: the fields of a request choose between tus, the IETF draft and downloads."""

    def __init__(self, driver: Driver, verbs: Verbs, downloads: Downloads, texts: Texts) -> None:
        self._driver = driver
        self._verbs = verbs
        self._downloads = downloads
        self._texts = texts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = self._driver.begin(scope, receive, send, key=key_of(scope))
        dialect: UploadDialect = files.dialect_of(exchange.request)
        try:
            exchange.request = files.overridden(exchange.request)
        except ProtocolError as error:
            await self._driver.answer(exchange, dialect.reject, refusing(error))
        else:
            await self._driver.answer(exchange, dialect.reject, functools.partial(self._answer, dialect))

    async def _answer(self, dialect: UploadDialect, exchange: Exchange) -> None:
        request = exchange.request
        if request.method == "OPTIONS":
            await exchange.respond(files.options(request))
        elif files.is_download(request):
            await self._downloads.respond(exchange, files.download_fields(request))
        else:
            perform = self._describe if files.is_head_of_download(request) else self._verbs.upload
            await exchange.run(dialect, perform, keyed=key_of(exchange.scope) is not None)

    async def _describe(self, by: Principal, command: Command, content: RequestContent) -> Outcome:
        """Do *command*, and describe complete content as a download would."""
        outcome = await self._verbs.upload(by, command, content)
        return dataclasses.replace(outcome, record=await self._texts.described(outcome.record))
