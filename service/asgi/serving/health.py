"""Liveness, readiness, and the OpenAPI description."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from holdfast.service.health.stores import StoreHealth
from holdfast.service.protocols.openapi import description as openapi


class Health:
    """Answers ``/healthz`` and ``/readyz``; the latter pings every store."""

    def __init__(self, store_health: StoreHealth) -> None:
        self._store_health = store_health

    async def alive(self, _request: Request) -> Response:
        """Answer 200 while the event loop runs."""
        return JSONResponse({"status": "ok"})

    async def ready(self, _request: Request) -> Response:
        """Answer 200 if every store can write now, else 503; this takes two seconds at most."""
        answers = await self._store_health.ask()
        stores = {name: "ok" if well else "failed" for name, well in answers.items()}
        ready = all(answers.values())
        return JSONResponse({"status": "ok" if ready else "failed", "stores": stores}, 200 if ready else 503)


async def describe(_request: Request) -> Response:
    """Answer with the OpenAPI document."""
    return JSONResponse(openapi.DOCUMENT, headers={"Cache-Control": "no-cache"})
