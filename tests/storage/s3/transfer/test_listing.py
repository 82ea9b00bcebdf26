"""
Lists that have several pages, and servers that are away in the middle of them.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from functools import partial

import pytest

from holdfast.storage.errors import Unavailable
from holdfast.storage.s3.store import S3ByteStore
from holdfast.storage.s3.transfer.buffers import NOTHING
from servers.ports import LOOPBACK, free_port
from tests.servers.faulty_proxy import FaultyProxy, refused
from tests.servers.fixtures import Bucket
from tests.storage.s3.stores import names_in, opened, uploads_in

pytestmark = pytest.mark.timeout(120)

PAGE = 10  # objects; a server gives 1,000 where no other number is asked for


async def made(store: S3ByteStore, count: int) -> list[str]:
    """Make so many objects and as many multipart uploads, and return their names in order."""
    names = [f"{store.names.prefixes[0]}{number:05}" for number in range(count)]
    await asyncio.gather(*(store.bucket.put(name, NOTHING) for name in names))
    await asyncio.gather(*(store.bucket.begin(name, summed=False) for name in names))
    return names


def short_pages(store: S3ByteStore) -> Counter[str]:
    """Have the server put few objects on a page; return what will have the number of pages that were asked for."""
    asked: Counter[str] = Counter()

    def limit(limited: str, params: dict[str, object], **_: object) -> None:
        params.setdefault(limited, PAGE)
        asked[limited] += 1

    for call, limited in (("ListObjectsV2", "MaxKeys"), ("ListMultipartUploads", "MaxUploads")):
        store.bucket._client.meta.events.register(f"provide-client-params.s3.{call}", partial(limit, limited))
    return asked


@pytest.mark.parametrize(("place", "pages_of_uploads"), [("swift_place", 3), ("moto_place", 1)])  # moto has no such pages
async def test_pages(request: pytest.FixtureRequest, place: str, pages_of_uploads: int) -> None:
    """What does not fit into one answer of the server comes in several, without a gap."""
    async with opened(request.getfixturevalue(place)) as store:
        asked = short_pages(store)
        names = await made(store, 2 * PAGE + 1)

        assert names == await names_in(store.bucket, store.names.prefixes[0])
        assert names == sorted(await uploads_in(store.bucket, store.names.prefixes[0]))
        assert [3, pages_of_uploads] == [asked["MaxKeys"], asked["MaxUploads"]]


async def test_a_server_that_is_away(moto_place: Bucket) -> None:
    """Nobody takes it for a bucket in which nothing is."""
    account = replace(moto_place.account, endpoint=f"http://{LOOPBACK}:{free_port()}")
    async with opened(Bucket(account=account, name=moto_place.name), patience=1) as store:
        with pytest.raises(Unavailable):
            await names_in(store.bucket)
        with pytest.raises(Unavailable):
            await uploads_in(store.bucket)


async def test_trouble_that_passes(proxy: FaultyProxy, behind: Bucket) -> None:
    """A list is asked for again, and whole."""
    async with opened(behind, tries=1, patience=20) as store:
        await store.bucket.put(f"{store.names.prefixes[0]}kelp", NOTHING)
        for _ in range(2):
            proxy.add("ListObjectsV2", refused(503, "SlowDown"))

        assert [f"{store.names.prefixes[0]}kelp"] == await names_in(store.bucket, store.names.prefixes[0])
