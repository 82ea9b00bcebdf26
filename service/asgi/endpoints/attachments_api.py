"""The attachments API: entries, associations, views and binaries."""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from holdfast.service.asgi.driver import Driver, refuse_writing, refusing
from holdfast.service.asgi.exchange import Exchange
from holdfast.service.asgi.requests import community_key_invalid, community_of, key_of, queried_tenant
from holdfast.service.asgi.serving.download import Downloads
from holdfast.service.core.verbs import Verbs
from holdfast.service.protocols.attachments_api.associations import AssociationDialect, AttachmentsOfObject
from holdfast.service.protocols.attachments_api.uploads import AttachmentUploads
from holdfast.service.protocols.attachments_api.view import AttachmentView
from holdfast.service.protocols.http.wire import SlotDialect, UploadDialect


class AttachmentsApi:
    """Uploads of the attachments API and their associations; each community is a tenant."""

    def __init__(self, driver: Driver, verbs: Verbs, dialect: AttachmentUploads) -> None:
        self._driver = driver
        self._verbs = verbs
        self._dialect = dialect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        names, key = scope["path_params"], key_of(scope)
        community = community_of(names["community"])
        exchange = self._driver.begin(scope, receive, send, tenant=community, key=key)
        if community is None:
            await self._driver.answer(exchange, self._dialect.reject, refusing(community_key_invalid()))
        elif "object" in names:
            which = AssociationDialect if key is not None else AttachmentsOfObject
            association: SlotDialect = which(self._dialect, names["object"].removesuffix("/"))
            await self._driver.run(exchange, association, self._verbs.slot, keyed=key is not None)
        else:
            dialect: UploadDialect = self._dialect
            await self._driver.run(exchange, dialect, self._verbs.upload, keyed=key is not None)


class Views:
    """Attachments as the older Igloo API describes them; its paths name no community."""

    def __init__(self, driver: Driver, verbs: Verbs, dialect: AttachmentUploads) -> None:
        self._driver = driver
        self._perform = verbs.attachment
        self._dialect = AttachmentView(dialect)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = self._driver.begin(scope, receive, send, tenant=queried_tenant(scope), key=key_of(scope))
        await self._driver.run(exchange, self._dialect, self._perform, keyed=scope["method"] != "OPTIONS")


class Binaries:
    """Downloads under the URLs that the attachments API sends; the server ignores the file name at the end."""

    def __init__(self, driver: Driver, downloads: Downloads, dialect: AttachmentUploads) -> None:
        self._driver = driver
        self._downloads = downloads
        self._reject = dialect.reject

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = self._driver.begin(scope, receive, send, tenant=queried_tenant(scope), key=key_of(scope))
        await self._driver.answer(exchange, self._reject, self._answer)

    async def _answer(self, exchange: Exchange) -> None:
        refuse_writing(exchange.request, "binaries")
        await self._downloads.respond(exchange)
