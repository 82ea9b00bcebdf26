"""
Uploads under ``/files``, in whichever protocol.
"""

from __future__ import annotations

import dataclasses

from starlette.types import Receive, Scope, Send

from holdfast.service.asgi.answered import Answered, unasked
from holdfast.service.asgi.driver import Driver
from holdfast.service.asgi.receiving.content import RequestContent
from holdfast.service.asgi.serving.download import download
from holdfast.service.asgi.serving.pictures import PictureResponses
from holdfast.service.core.commands import Command, Outcome
from holdfast.service.protocols.http.wire import ProtocolError, UploadDialect
from holdfast.service.protocols.uploads import files
from holdfast.storage.records import Tenant


class Files:
    """
    ``/files`` and ``/files/{key}``: tus, the IETF draft and downloads, told apart by their fields.
    """

    def __init__(self, driver: Driver, picture_responses: PictureResponses, tenant: Tenant) -> None:
        self._driver = driver
        self._sanitised = picture_responses.sanitised
        self._tenant = tenant

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = key_of(scope)
        request = self._driver.request(scope, tenant=self._tenant, key=key, tenant_named=False)
        dialect: UploadDialect = files.speaker(request)
        try:
            request = files.overridden(request)
        except ProtocolError as error:
            dialect = Answered(dialect.reject(request, error), dialect)
            await self._driver.exchange(dialect, self._driver.perform, request, scope, receive, send, keyed=False)
            return
        if request.method == "OPTIONS":
            dialect = Answered(files.options(request), dialect)
        elif files.is_download(request):
            fields = files.download_fields(request)
            refusal = await download(self._driver, dialect, self._sanitised, request, scope, receive, send, fields=fields)
            if refusal is None:
                return
            dialect, request = Answered(refusal, dialect), unasked(request)
        keyed = key is not None and request.method != "OPTIONS"
        perform = self._describe if files.asks_about_content(request) else self._driver.perform
        await self._driver.exchange(dialect, perform, request, scope, receive, send, keyed=keyed)

    async def _describe(self, command: Command, content: RequestContent) -> Outcome:
        """Do what is asked, and tell of complete content what a download would."""
        outcome = await self._driver.perform(command, content)
        return dataclasses.replace(outcome, record=await self._driver.texts.described(outcome.record))


def key_of(scope: Scope) -> str | None:
    """
    Return what stands where the URL names an upload; a slash at its end makes no difference.
    """
    key: str | None = scope["path_params"].get("key")
    return None if key is None else key.removesuffix("/")
