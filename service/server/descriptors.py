"""
The budget of file descriptors, and the answer when it is used up.

Every connection takes one, and a request up to two more: a file, and for a download a duplicate of the connection
(`holdfast.service.server.sendfile`).  Stores, threads and the log have a reserve.  A request beyond the budget is refused while
there still are descriptors to read and refuse it with, before the system runs out of them.
"""

from __future__ import annotations

import resource
from collections.abc import Sized

from starlette.types import Receive, Scope, Send

MOST = 1024 * 1024
# S3 uses up to 64 connections and Redis up to 64; embedded stores, an idle process and its threads use about 40.
RESERVE = 192
# Connections beyond the budget are still accepted, and refused.
REFUSING = 64
OF_A_REQUEST = 2
RETRY_AFTER = b"5"  # seconds

_REFUSAL = b"too many requests at once; try again in a moment\n"


class Descriptors:
    """The budget of connections, in a process that may open *limit* descriptors."""

    def __init__(self, limit: int) -> None:
        reserve = min(RESERVE + REFUSING, limit // 2)
        self.room = limit - reserve
        """Descriptors of connections and their requests."""
        self.connections = self.room + reserve // 4
        """Connections beyond this number are refused before their first request."""
        self.refused = self.room + reserve // 2
        """Connections beyond this number are closed without waiting until the refusal is read."""

    def are_used_up(self, connections: Sized, requests: Sized) -> bool:
        """Say whether one more request would exceed the budget."""
        return len(connections) + OF_A_REQUEST * (len(requests) + 1) > self.room


def raise_limit() -> int:
    """Raise this process's limit of descriptors as far as allowed, and return it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return MOST if most == resource.RLIM_INFINITY else min(most, MOST)


async def overloaded(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Refuse a request because descriptors are used up."""
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(_REFUSAL)),
        (b"retry-after", RETRY_AFTER),
        (b"access-control-allow-origin", b"*"),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": _REFUSAL, "more_body": False})
