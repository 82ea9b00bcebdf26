"""
Starlette's application, with a short way to what is asked for most often.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

FILES = "/files"


class Application(Starlette):
    """
    Requests for uploads go to *uploads* through *cors* alone; the router and its handlers would find the same.
    """

    def __init__(self, uploads: ASGIApp, cors: Middleware, routes: Sequence[BaseRoute], **options: Any) -> None:  # noqa: ANN401
        super().__init__(routes=routes, middleware=[cors], **options)
        near: ASGIApp = cors.cls(uploads, *cors.args, **cors.kwargs)
        self._uploads = ServerErrorMiddleware(near, handler=self.exception_handlers.get(Exception))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(FILES) and not scope.get("root_path"):
            rest = scope["path"].removeprefix(FILES)
            if rest in ("", "/") or rest.startswith("/"):
                scope["app"] = self
                scope["path_params"] = {"key": rest[1:]} if len(rest) > 1 else {}
                await self._uploads(scope, receive, send)
                return
        await super().__call__(scope, receive, send)
