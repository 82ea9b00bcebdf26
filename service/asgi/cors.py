"""
What pages of other origins may send and see.
"""

from __future__ import annotations

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Message, Receive, Scope, Send

DAY = 86_400  # seconds

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
REQUEST_FIELDS = (
    "Authorization",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Range",
    "Content-Type",
    "Holdfast-Attach-To",
    "Idempotency-Key",
    "If-Match",
    "If-Modified-Since",
    "If-None-Match",
    "If-Range",
    "If-Unmodified-Since",
    "Origin",
    "Range",
    "Tus-Resumable",
    "Upload-Checksum",
    "Upload-Complete",
    "Upload-Concat",
    "Upload-Defer-Length",
    "Upload-Draft-Interop-Version",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Offset",
    "X-HTTP-Method-Override",
    "X-Request-ID",
    "X-Requested-With",
    "X-Symphony-Host",
)
RESPONSE_FIELDS = (
    "Accept-Patch",
    "Accept-Ranges",
    "Allow",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Range",
    "ETag",
    "Location",
    "Range",
    "Retry-After",
    "Tus-Extension",
    "Tus-Max-Size",
    "Tus-Resumable",
    "Tus-Version",
    "Upload-Complete",
    "Upload-Defer-Length",
    "Upload-Draft-Interop-Version",
    "Upload-Expires",
    "Upload-Length",
    "Upload-Limit",
    "Upload-Metadata",
    "Upload-Offset",
    "WWW-Authenticate",
)


class Cors(CORSMiddleware):
    """
    Starlette's, at no cost to requests that no page of a browser sends.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or any(name == b"origin" for name, _ in scope["headers"]):
            await super().__call__(scope, receive, send)
            return

        async def varied(message: Message) -> None:
            if message["type"] == "http.response.start":
                # To caches, the answer without an Origin is not that with one.
                vary = [value for name, value in message["headers"] if name.lower() == b"vary"]
                others = [field for field in message["headers"] if field[0].lower() != b"vary"]
                message["headers"] = [*others, (b"vary", b", ".join([*vary, b"Origin"]))]
            await send(message)

        await self.app(scope, receive, varied)


def cors(origins: str) -> Middleware:
    """
    Return the middleware for *origins*, with commas between; ``*`` for all.
    """
    return Middleware(
        Cors,
        allow_origins=[origin.strip() for origin in origins.split(",") if origin.strip()],
        allow_methods=METHODS,
        allow_headers=REQUEST_FIELDS,
        expose_headers=RESPONSE_FIELDS,
        max_age=DAY,
    )
