"""The answer of the server itself, to what cannot be handed to the application."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from holdfast.service.server.descriptors import RETRY_AFTER
from holdfast.service.server.fields import Field

BAD_REQUEST, NOT_IMPLEMENTED, UNAVAILABLE = 400, 501, 503


def refusal(status: int, message: str, date: Field) -> bytes:
    """Return a complete response with *message* (ASCII) as its content; the connection ends after it."""
    fields = [
        date,
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(message)),
        *([(b"retry-after", RETRY_AFTER)] if status == UNAVAILABLE else []),
        (b"connection", b"close"),
    ]
    lines = [b"%b: %b\r\n" % field for field in fields]
    return b"".join([STATUS_LINE[status], *lines, b"\r\n", message.encode("ascii")])
