"""
How many descriptors a process has, and what is answered when they are used up.

Every connection takes one, and a request that is being answered up to two more: a file, and for a download the connection once
more (`holdfast.service.server.sendfile`).  Stores, threads and the log have a reserve.  So a request beyond the bound is
refused while
there still are descriptors to read and to refuse it with, and the system never has to.
"""

from __future__ import annotations

import resource
from collections.abc import Sized

from starlette.types import Receive, Scope, Send

MOST = 1024 * 1024
# S3 has up to 64 connections and Redis up to 64; embedded stores, an idle process and its threads have about 40.
RESERVE = 192
# Behind the bound connections are still taken, to be refused.
REFUSING = 64
OF_A_REQUEST = 2
RETRY_AFTER = b"5"  # seconds

_REFUSAL = b"too many requests at once; try again in a moment\n"


class Descriptors:
    """
    What connections may have of the descriptors of a process, which are *limit* in all.
    """

    def __init__(self, limit: int) -> None:
        reserve = min(RESERVE + REFUSING, limit // 2)
        self.room = limit - reserve
        """What connections and their requests may have."""
        self.connections = self.room + reserve // 4
        """More connections than this are refused before they say anything."""
        self.refused = self.room + reserve // 2
        """More than this are closed without waiting whether the refusal is read."""

    def are_used_up(self, connections: Sized, requests: Sized) -> bool:
        """
        Say whether one more request is too many.
        """
        return len(connections) + OF_A_REQUEST * (len(requests) + 1) > self.room


def raise_limit() -> int:
    """
    Let this process open as many descriptors as it is allowed to ask for, and return how many these are.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return MOST if most == resource.RLIM_INFINITY else min(most, MOST)


async def overloaded(_scope: Scope, _receive: Receive, send: Send) -> None:
    """
    Refuse a request, whatever it asks for: there is no descriptor for it.
    """
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(_REFUSAL)),
        (b"retry-after", RETRY_AFTER),
        (b"access-control-allow-origin", b"*"),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": _REFUSAL, "more_body": False})
