"""
The least that an application under uvicorn can do: it parses nothing, stores nothing, and answers at once.

What it costs is uvicorn's share of a small request.  It speaks just enough of tus for the bench: the path of an upload is the
announced length, and received bytes are taken as they come.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


async def application(scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
    """Answer one request."""
    method, path = scope["method"], scope["path"]
    if method == "POST":
        length = next(value for name, value in scope["headers"] if name == b"upload-length")
        status, fields = 201, [(b"location", b"/files/" + length), (b"content-length", b"0")]
    elif method == "PATCH":
        received, more = 0, True
        while more:
            message = await receive()
            received += len(message.get("body", b""))
            more = message.get("more_body", False)
        status, fields = 204, [(b"upload-offset", str(received).encode())]
    elif method == "HEAD":
        status, fields = 200, [(b"upload-offset", path.rpartition("/")[2].encode()), (b"content-length", b"0")]
    else:
        status, fields = 204, []
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": b""})
