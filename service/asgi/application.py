"""Starlette's application, with a short path to ``/files`` and an answer for URLs that have no dialect."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

FILES = "/files"
# Code and message by status, for URLs that have no dialect.
PROBLEMS = {
    404: ("not_found", "nothing exists at this URL; only URLs of uploads may end with a slash"),
    405: ("method_not_allowed", "this URL supports GET and HEAD only"),
}


class Application(Starlette):
    """Sends requests under ``/files`` straight to *uploads* through *cors*; the router would find the same endpoint."""

    def __init__(
        self, uploads: ASGIApp, cors: Middleware, routes: Sequence[BaseRoute], lifespan: Lifespan[Application] | None = None
    ) -> None:
        handlers = {HTTPException: problem, Exception: problem}
        super().__init__(routes=routes, middleware=[cors], exception_handlers=handlers, lifespan=lifespan)
        self.router.redirect_slashes = False
        with_cors: ASGIApp = cors.cls(uploads, *cors.args, **cors.kwargs)
        self._uploads = ServerErrorMiddleware(with_cors, handler=problem)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(FILES) and not scope.get("root_path"):
            rest = scope["path"].removeprefix(FILES)
            if rest in ("", "/") or rest.startswith("/"):
                scope["app"] = self
                scope["path_params"] = {"key": rest[1:]} if len(rest) > 1 else {}
                await self._uploads(scope, receive, send)
                return
        await super().__call__(scope, receive, send)


async def problem(_request: Request, error: Exception) -> Response:
    """Return the problem document for URLs without a dialect, and for faults of the server (RFC 9457)."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    code, detail = PROBLEMS.get(status, ("internal_error", "the server failed; its log says why"))
    document = {"type": "about:blank", "title": code, "status": status, "detail": detail}
    headers = error.headers if isinstance(error, HTTPException) else None
    return JSONResponse(document, status, headers, media_type="application/problem+json")
