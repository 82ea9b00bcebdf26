"""JSON documents: the native API, and pictures of groups as base64 in a document."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Generic

from starlette.types import Receive, Scope, Send

from holdfast.service.asgi.driver import Driver
from holdfast.service.asgi.exchange import C, Out, Perform
from holdfast.service.asgi.receiving.content import RequestContent
from holdfast.service.asgi.receiving.decoding import DecodedContent
from holdfast.service.asgi.receiving.room import DocumentRoom
from holdfast.service.asgi.requests import queried_tenant
from holdfast.service.core.commands import GetObject, ObjectOutcome, PictureCommand
from holdfast.service.core.errors import ContentCut
from holdfast.service.core.pictures import Admit
from holdfast.service.core.policies import Policy
from holdfast.service.core.principals import Principal
from holdfast.service.core.verbs import Verbs
from holdfast.service.protocols.http.wire import PictureDialect
from holdfast.service.protocols.native.resource import Resource


class Native(Generic[C, Out]):
    """One resource of the native JSON API."""

    def __init__(self, driver: Driver, resource: type[Resource[C, Out]], perform: Perform[C, Out]) -> None:
        self._driver = driver
        self.resource = resource
        self._perform = perform

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = self._driver.begin(scope, receive, send, tenant=queried_tenant(scope))
        await self._driver.run(exchange, self.resource(scope["path_params"]), self._perform, keyed=False)


class GroupPictures:
    """Pictures in a single request: avatars of groups (Symphony) and pictures of organizations' groups (Ellipsis)."""

    def __init__(
        self,
        driver: Driver,
        verbs: Verbs,
        room: DocumentRoom,
        policy: Policy,
        dialect: Callable[[str], PictureDialect],
        member: str,
    ) -> None:
        """*member* of the JSON object holds the picture as base64."""
        self._driver = driver
        self._verbs = verbs
        self._room = room
        self._max_bytes = policy.max_bytes
        self._dialect = dialect
        self._member = member

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = self._driver.begin(scope, receive, send)
        dialect = self._dialect(scope["path_params"]["group"])
        await self._driver.run(
            exchange, dialect, functools.partial(self._perform, dialect.admit, exchange.request.peer), keyed=False
        )

    async def _perform(
        self, admit: Admit, peer: str, by: Principal, command: PictureCommand, content: RequestContent
    ) -> ObjectOutcome:
        if isinstance(command, GetObject):
            return await self._verbs.object(by, command, content)
        client = (peer or None) if by.subject is None else (command.slot.tenant, by.subject)
        with self._room.document(client) as hold:
            decoded = DecodedContent(content, self._member, self._max_bytes, hold)
            try:
                return await self._verbs.set_picture(by, command, decoded, admit)
            except ContentCut:
                if decoded.error is not None:
                    raise decoded.error from None
                raise
