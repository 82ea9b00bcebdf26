"""
JSON documents: the native API, and the pictures of groups that come in one of them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from starlette.types import Receive, Scope, Send

from holdfast.service.asgi.driver import Driver
from holdfast.service.asgi.requests import queried_tenant
from holdfast.service.asgi.verbs import Verbs
from holdfast.service.protocols.http.wire import FiledDialect, PictureDialect
from holdfast.service.protocols.native.resource import Resource


class Native:
    """
    One kind of URLs of the native JSON API.
    """

    def __init__(self, driver: Driver, verbs: Verbs, resource: type[Resource]) -> None:
        self._driver = driver
        self._perform = verbs.perform_filed
        self._resource = resource

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = self._driver.begin(scope, receive, send, tenant=queried_tenant(scope))
        dialect: FiledDialect = self._resource(scope["path_params"])
        await self._driver.converse(exchange, dialect, self._perform, keyed=False)


class GroupPictures:
    """
    Pictures that come in one request: avatars of groups (Symphony) and pictures of organizations' groups (Ellipsis).
    """

    def __init__(self, driver: Driver, verbs: Verbs, dialect: Callable[[str], PictureDialect], member: str) -> None:
        self._driver = driver
        self._dialect = dialect
        self._perform = functools.partial(verbs.perform_picture, member=member)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = self._driver.begin(scope, receive, send)
        dialect = self._dialect(scope["path_params"]["group"])
        await self._driver.converse(exchange, dialect, self._perform, keyed=False)
