"""
Whether the process lives, and whether it can serve.
"""

from __future__ import annotations

import pytest

from holdfast.service.stores import Stores
from holdfast.storage.errors import Unavailable
from holdfast.storage.memory import MemoryByteStore, MemoryLeases, MemoryMetadataStore
from tests.protocols.service import Serve, Service


class SilentBytes(MemoryByteStore):
    """
    A byte store that takes nothing.
    """

    async def ping(self) -> None:
        raise Unavailable("/data does not answer")


class SilentMetadata(MemoryMetadataStore):
    """
    A metadata store that takes nothing.
    """

    async def ping(self) -> None:
        raise Unavailable("/data does not answer")


class SilentLeases(MemoryLeases):
    """
    Leases that cannot be had.
    """

    async def ping(self) -> None:
        raise Unavailable("/data does not answer")


BROKEN = {
    "bytes": Stores(content=SilentBytes(), metadata=MemoryMetadataStore(), leases=MemoryLeases()),
    "metadata": Stores(content=MemoryByteStore(), metadata=SilentMetadata(), leases=MemoryLeases()),
    "leases": Stores(content=MemoryByteStore(), metadata=MemoryMetadataStore(), leases=SilentLeases()),
}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_well(service: Service, path: str, method: str) -> None:
    """A process whose stores answer lives and is ready."""
    response = await service.send(method, path)

    assert response.status_code == 200
    assert method == "HEAD" or response.json()["status"] == "ok"


@pytest.mark.parametrize("name", BROKEN)
async def test_not_ready(serve: Serve, name: str) -> None:
    """A process with a store that does not answer lives, is not ready, and says which store it is, but nothing of its inside."""
    service = await serve(stores=BROKEN[name])
    alive = await service.send("GET", "/healthz")
    ready = await service.send("GET", "/readyz")
    others = {"bytes", "metadata", "leases"} - {name}

    assert (200, 503) == (alive.status_code, ready.status_code)
    assert {"status": "failed", "stores": {name: "failed"} | dict.fromkeys(others, "ok")} == ready.json()
    assert "/data" not in ready.text
