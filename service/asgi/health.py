"""
Whether the process lives, and whether it can serve.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from storage.errors import StorageError

logger = logging.getLogger("holdfast")

Ping = Callable[[], Awaitable[None]]


class Health:
    """
    Answers ``/healthz`` and ``/readyz``; the latter asks every store.
    """

    def __init__(self, pings: Mapping[str, Ping]) -> None:
        self._pings = pings

    async def alive(self, _request: Request) -> Response:
        """
        Answer as long as the event loop turns.
        """
        return JSONResponse({"status": "ok"})

    async def ready(self, _request: Request) -> Response:
        """
        Answer 200 when each store can take something now, otherwise 503.
        """
        stores = {}
        for name, ping in self._pings.items():
            try:
                await ping()
                stores[name] = "ok"
            except StorageError:
                logger.exception("%s is not ready", name)
                stores[name] = "failed"
        ready = all(state == "ok" for state in stores.values())
        return JSONResponse({"status": "ok" if ready else "failed", "stores": stores}, 200 if ready else 503)
