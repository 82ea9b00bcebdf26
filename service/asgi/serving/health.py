"""
What the service says of itself: whether the process lives, whether it can serve, and the description of its routes.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from holdfast.service.health.stores import StoreHealth
from holdfast.service.protocols.openapi import description as openapi


class Health:
    """
    Answers ``/healthz`` and ``/readyz``; the latter asks every store.
    """

    def __init__(self, store_health: StoreHealth) -> None:
        self._store_health = store_health

    async def alive(self, _request: Request) -> Response:
        """
        Answer as long as the event loop turns.
        """
        return JSONResponse({"status": "ok"})

    async def ready(self, _request: Request) -> Response:
        """
        Answer 200 when each store can take something now, otherwise 503; that takes two seconds at most.
        """
        answers = await self._store_health.ask()
        stores = {name: "ok" if well else "failed" for name, well in answers.items()}
        ready = all(answers.values())
        return JSONResponse({"status": "ok" if ready else "failed", "stores": stores}, 200 if ready else 503)


async def describe(_request: Request) -> Response:
    """
    Answer with the description of every route in JSON.
    """
    return JSONResponse(openapi.DOCUMENT, headers={"Cache-Control": "no-cache"})
