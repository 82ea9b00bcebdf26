"""CORS: which fields pages of other origins may send and read."""

from __future__ import annotations

import re

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

DAY = 86_400  # seconds
# RFC 9110, section 5.6.2: token
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# Fields that the dialects read.
DIALECT_FIELDS = (
    "Authorization, Content-Digest, Content-Disposition, Content-Encoding, Content-Range, Content-Type, Holdfast-Attach-To, "
    "Idempotency-Key, If-Match, If-Modified-Since, If-None-Match, If-Range, If-Unmodified-Since, Origin, Range, "
    "Repr-Digest, Tus-Resumable, Upload-Checksum, Upload-Complete, Upload-Concat, Upload-Defer-Length, "
    "Upload-Draft-Interop-Version, Upload-Incomplete, Upload-Length, Upload-Metadata, Upload-Name, Upload-Offset, "
    "Want-Content-Digest, Want-Repr-Digest, X-HTTP-Method-Override, X-Symphony-Host"
)
# Fields that clients send to any server: from upload libraries, against forged requests, for tracing.
CLIENT_FIELDS = (
    "B3, Baggage, Cache-Control, Pragma, Request-Id, Sentry-Trace, Traceparent, Tracestate, Tus-Extension, Tus-Max-Size, "
    "Tus-Version, X-B3-ParentSpanId, X-B3-Sampled, X-B3-SpanId, X-B3-TraceId, X-CSRF-Token, X-CSRFToken, X-Datadog-Origin, "
    "X-Datadog-Parent-Id, X-Datadog-Sampling-Priority, X-Datadog-Trace-Id, X-Request-ID, X-Requested-With, X-XSRF-Token"
)
RESPONSE_FIELDS = (
    "Accept-Patch, Accept-Ranges, Allow, Content-Digest, Content-Disposition, Content-Encoding, Content-Range, Date, ETag, "
    "Location, Range, Repr-Digest, Retry-After, Tus-Extension, Tus-Max-Size, Tus-Resumable, Tus-Version, Upload-Complete, "
    "Upload-Defer-Length, Upload-Draft-Interop-Version, Upload-Expires, Upload-Incomplete, Upload-Length, Upload-Limit, "
    "Upload-Metadata, Upload-Offset, WWW-Authenticate"
)


class Cors(CORSMiddleware):
    """
    Starlette's middleware, skipped for requests without Origin.

    A preflight response lists what is allowed and never fails for a field, so the browser can name the field that is missing.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or any(name == b"origin" for name, _ in scope["headers"]):
            await super().__call__(scope, receive, send)
            return

        async def varied(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Caches must not serve this answer to requests that have an Origin.
                vary = [value for name, value in message["headers"] if name.lower() == b"vary"]
                others = [field for field in message["headers"] if field[0].lower() != b"vary"]
                message["headers"] = [*others, (b"vary", b", ".join([*vary, b"Origin"]))]
            await send(message)

        await self.app(scope, receive, varied)

    def preflight_response(self, request_headers: Headers) -> Response:
        origin, fields = request_headers["origin"], dict(self.preflight_headers)
        if not self.is_allowed_origin(origin):
            # Fetch, section 4.10: without Access-Control-Allow-Origin the browser stops here.
            fields.pop("Access-Control-Allow-Credentials", None)
            return PlainTextResponse("HOLDFAST_CORS_ORIGINS does not name this origin", 400, fields)
        if not self.allow_all_origins:
            fields["Access-Control-Allow-Origin"] = origin
        return PlainTextResponse("OK", 200, fields)


def cors(origins: str, fields: str = "") -> Middleware:
    """
    Return the middleware for *origins*, with commas between; ``*`` for all.  Pages may send *fields* besides the known ones.

    Pages of origins that are named may come with credentials (cookies); of all origins none may.
    """
    named = parse_list(origins)
    return Middleware(
        Cors,
        allow_origins=named,
        allow_methods=METHODS,
        allow_headers=parse_fields(f"{DIALECT_FIELDS}, {CLIENT_FIELDS}, {fields}"),
        allow_credentials="*" not in named,
        expose_headers=parse_list(RESPONSE_FIELDS),
        max_age=DAY,
    )


def parse_fields(value: str) -> tuple[str, ...]:
    """
    Return the field names in a comma-separated list.

    :raises ValueError: one is not a valid field name.
    """
    names = parse_list(value)
    for name in names:
        if not _TOKEN.fullmatch(name) or name == "*":
            raise ValueError(f"{name!r} is not a valid field name")
    return names


def parse_list(value: str) -> tuple[str, ...]:
    """Return the members of a comma-separated list."""
    return tuple(part.strip() for part in value.split(",") if part.strip())
