"""
The whole service in this process, over stores that forget everything, and uploads in any state for it to find.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Collection, Mapping, Sequence
from typing import Any, Protocol, Self

import httpx
from starlette.routing import Route

from holdfast.service.app import create_app
from holdfast.service.asgi.endpoints.documents import Native
from holdfast.service.settings import Settings
from holdfast.service.stores import Stores
from holdfast.storage.errors import NotFound
from holdfast.storage.keys import new_key
from holdfast.storage.memory import MemoryByteStore, MemoryLeases, MemoryMetadataStore
from holdfast.storage.ports.metadata import Change
from holdfast.storage.records import Key, Ref, State, Tenant, UploadRecord
from tests.pictures import PNG

DAY = 86_400.0  # seconds
COMMUNITY = Tenant("1")
ORIGIN = "http://holdfast.test"

# What all uploads are made of: twenty bytes that begin as a PNG does.
IMAGE = b"\x89PNG\r\n\x1a\n and so on.."
LENGTH = len(IMAGE)
HALF = 9

UNKNOWN = Key("nobodysKey")

Fields = Mapping[str, str] | Sequence[tuple[str, str]]
Content = bytes | Sequence[bytes] | AsyncIterable[bytes]
"""Bytes are sent with their length, several pieces of them in the chunked transfer coding."""

# The facts of an upload that differ from those of an empty one of twenty bytes; None for a key that was never given.
Facts = Mapping[str, Any]
Given = Facts | None

EMPTY: Facts = {}
HALF_SENT: Facts = {"offset": HALF}
FULL: Facts = {"offset": LENGTH}
DEFERRED: Facts = {"length": None}
HALF_DEFERRED: Facts = {"length": None, "offset": HALF}
RECEIVED: Facts = {"offset": LENGTH, "state": State.RECEIVED}
COMPLETE: Facts = {"offset": LENGTH, "state": State.COMPLETE, "expires_at": None}
CANCELLED: Facts = {"offset": HALF, "state": State.CANCELLED, "expires_at": None}
EXPIRED: Facts = {"offset": HALF, "state": State.EXPIRED, "expires_at": None}
OVERDUE: Facts = {"offset": HALF, "expires_at": 1.0}
INVALID: Facts = {"offset": HALF, "state": State.INVALID}
REJECTED: Facts = {"offset": LENGTH, "state": State.REJECTED, "content_type": "image/gif", "expires_at": None}
NOTHING: Given = None


class Service:
    """
    The application, its stores, and a client that stands at *client* (an address).
    """

    def __init__(self, *, stores: Stores | None = None, client: str = "127.0.0.1", **settings: Any) -> None:  # noqa: ANN401 - as Settings
        self.stores = stores or Stores(content=MemoryByteStore(), metadata=MemoryMetadataStore(), leases=MemoryLeases())
        # Nothing of a test may be kept: renditions and the secret of links go where they vanish.
        self._folder = tempfile.TemporaryDirectory()
        kept_nowhere = {"bytes_url": "memory:", "metadata_url": "memory:", "data_dir": self._folder.name}
        self.settings = Settings(**{**kept_nowhere, **settings})
        self.app = create_app(self.settings, self.stores)
        transport = httpx.ASGITransport(app=self.app, client=(client, 50_000))
        self._client = httpx.AsyncClient(transport=transport, base_url=ORIGIN)

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()
        self._folder.cleanup()

    def native(self) -> dict[str, Collection[str]]:
        """
        Return the methods of each path of the native API.
        """
        routes = [route for route in self.app.routes if isinstance(route, Route)]
        return {route.path: route.endpoint.resource.verbs for route in routes if isinstance(route.endpoint, Native)}

    async def send(self, method: str, path: str, fields: Fields = (), content: Content = b"") -> httpx.Response:
        """
        Return the response to a request; no field goes out beside *fields* but Host and those that describe the content.
        """
        pairs = list(fields.items() if isinstance(fields, Mapping) else fields)
        raw = [(name.encode("latin-1"), value.encode("utf-8", "surrogateescape")) for name, value in pairs]
        sent = content if isinstance(content, bytes) else _chunks(content)
        request = self._client.build_request(method, path, headers=raw, content=sent)
        for name in ("accept", "accept-encoding", "connection", "user-agent"):
            if name not in {known.lower() for known, _ in pairs}:
                request.headers.pop(name, None)
        return await self._client.send(request)

    async def keep(self, given: Given = EMPTY, content: bytes = IMAGE) -> Key:
        """
        Return the key of an upload that has come as far as *given* says, with the first bytes of *content*.
        """
        if given is None:
            return UNKNOWN
        now = time.time()
        facts = {"length": LENGTH, "created_at": now, "expires_at": now + DAY, **given}
        record = UploadRecord(**{"tenant": COMMUNITY, "key": new_key(), **facts})
        start = dataclasses.replace(record, offset=0)
        receipt = await self.stores.content.append(start, _views(content[: record.offset]))
        record = dataclasses.replace(record, parts=receipt.parts)
        if record.state is State.COMPLETE:
            await self.stores.content.complete(record)
        await self.stores.metadata.commit([Change(old=None, new=record)])
        return record.key

    async def photo(self, content: bytes = PNG, **facts: Any) -> Key:  # noqa: ANN401 - as UploadRecord
        """
        Return the key of a complete upload that is a real image.
        """
        return await self.keep({**COMPLETE, "offset": len(content), "length": len(content), **facts}, content)

    async def record(self, key: str, tenant: str = COMMUNITY) -> UploadRecord | None:
        """
        Return the upload as it is now; None when there is none.
        """
        try:
            return await self.stores.metadata.get(Ref(tenant=Tenant(tenant), key=Key(key)))
        except NotFound:
            return None

    async def content(self, key: str) -> bytes:
        """
        Return the stored bytes of an upload, up to its offset.
        """
        record = await self.stores.metadata.get(Ref(tenant=COMMUNITY, key=Key(key)))
        return b"".join([bytes(block) async for block in self.stores.content.read(record, 0, record.offset)])


class Serve(Protocol):
    """Starts a `Service` that ends with the test."""

    def __call__(self, **given: Any) -> Awaitable[Service]: ...  # noqa: ANN401 - as Service


def key_of(response: httpx.Response) -> str:
    """
    Return the key of the upload that a response tells the location of.
    """
    return response.headers["Location"].rpartition("/")[2]


async def _chunks(content: Sequence[bytes] | AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    if isinstance(content, Sequence):
        for chunk in content:
            yield chunk
    else:
        async for chunk in content:
            yield chunk


async def _views(content: bytes) -> AsyncIterator[memoryview]:
    if content:
        yield memoryview(content)
