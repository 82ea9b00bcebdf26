"""
Downloads that the S3 server serves itself, and those that it does not.
"""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path

import httpx
import pytest

from holdfast.service.stores import Stores
from holdfast.storage.durability import Durability
from holdfast.storage.local.store import LocalByteStore
from holdfast.storage.memory import MemoryLeases, MemoryMetadataStore
from holdfast.storage.records import Key, State, Subject
from tests.protocols.access.accounts import ACCOUNTS, KELP, bearing
from tests.protocols.service import COMMUNITY, COMPLETE, IMAGE, Serve, Service
from tests.servers.fixtures import Bucket
from tests.storage.backends import appended, new_upload, replace_upload, store_upload
from tests.storage.s3.stores import s3_store

CONTENT = b"holdfast grips kelp"


async def serving(serve: Serve, bucket: Bucket) -> tuple[Service, Key]:
    """Return a service that sends downloads to the S3 server, and what KELP has uploaded to it."""
    store, metadata = s3_store(bucket), MemoryMetadataStore()
    record = new_upload(tenant=COMMUNITY, length=len(CONTENT), creator=Subject(KELP), name="kelp.txt", created_at=time.time())
    record = dataclasses.replace(await appended(store, record, CONTENT), state=State.COMPLETE, revision=0)
    await store_upload(metadata, record)
    stores = Stores(content=store, metadata=metadata, leases=MemoryLeases())
    service = await serve(
        stores=stores, bytes_url="s3://bucket", s3_endpoint_url=bucket.account.endpoint, s3_redirect=True, **ACCOUNTS
    )
    return service, record.key


@pytest.mark.parametrize(("wanted", "status", "content"), [("", 200, CONTENT), ("bytes=0-7", 206, CONTENT[:8])])
async def test_the_owner_is_sent_there(serve: Serve, moto_place: Bucket, wanted: str, status: int, content: bytes) -> None:
    """Whoever may see content is told where it is, and gets it there under its name, whole or in part."""
    service, key = await serving(serve, moto_place)
    answer = await service.send("GET", f"/files/{key}", bearing("owner"))
    async with httpx.AsyncClient() as client:
        there = await client.get(answer.headers["location"], headers={"Range": wanted} if wanted else {})
    await service.stores.close()

    assert (307, "private, no-store", b"") == (answer.status_code, answer.headers["cache-control"], answer.content)
    assert (status, content) == (there.status_code, there.content)
    assert 'filename="kelp.txt"' in there.headers["content-disposition"]


async def test_encoded_content_is_told_there(serve: Serve, moto_place: Bucket) -> None:
    """The S3 server tells how content is encoded, as the service would."""
    service, key = await serving(serve, moto_place)
    record = await service.record(key)
    assert record is not None
    encoded = dataclasses.replace(record, content_encoding="x-kelp", revision=record.revision + 1)
    await replace_upload(service.stores.metadata, record, encoded)
    answer = await service.send("GET", f"/files/{key}", bearing("owner"))
    async with httpx.AsyncClient() as client:
        there = await client.get(answer.headers["location"])
    await service.stores.close()

    assert (CONTENT, "x-kelp") == (there.content, there.headers["content-encoding"])
    assert there.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize("who", ["nobody", "member"])
async def test_others_are_not(serve: Serve, moto_place: Bucket, who: str) -> None:
    """Whoever may not see content hears nothing of where it is."""
    service, key = await serving(serve, moto_place)
    answer = await service.send("GET", f"/files/{key}", bearing(who))
    await service.stores.close()

    assert answer.status_code in (401, 403)
    assert "location" not in answer.headers


async def test_a_link_lasts_as_long_as_it_says(serve: Serve, moto_place: Bucket) -> None:
    """What a link opens comes from here: a URL of the S3 server would go on when the link has lapsed."""
    service, key = await serving(serve, moto_place)
    document = json.dumps({"purpose": "view", "seconds": 60}).encode()
    fields = {**bearing("owner"), "Content-Type": "application/json"}
    link = (await service.send("POST", f"/api/v1/attachments/{key}/links", fields, document)).json()["link"]
    answer = await service.send("GET", f"/files/{key}?link={link}")
    await service.stores.close()

    assert (200, CONTENT) == (answer.status_code, answer.content)


async def test_a_question_is_answered_here(serve: Serve, moto_place: Bucket) -> None:
    """HEAD, and what the client has already, need no content."""
    service, key = await serving(serve, moto_place)
    head = await service.send("HEAD", f"/files/{key}", bearing("owner"))
    known = await service.send("GET", f"/files/{key}", {**bearing("owner"), "If-None-Match": head.headers["etag"]})
    await service.stores.close()

    assert (200, str(len(CONTENT)), 304) == (head.status_code, head.headers["content-length"], known.status_code)


@pytest.mark.parametrize(
    ("fields", "in_front"),
    [({}, True), ({"Range": "bytes=0-7"}, True), ({"Range": "bytes=0-7", "If-Range": '"another"'}, False)],
    ids=["whole", "range", "range of something else"],
)
async def test_the_server_in_front(serve: Serve, tmp_path: Path, fields: dict[str, str], in_front: bool) -> None:
    """A server in front sends files and ranges; it knows nothing of our ETags, so a range with If-Range comes from here."""
    store = LocalByteStore(str(tmp_path / "held"), Durability.NONE)
    stores = Stores(content=store, metadata=MemoryMetadataStore(), leases=MemoryLeases())
    service = await serve(stores=stores, bytes_url=f"file:{tmp_path}/held", accel_redirect="/held/")
    key = await service.keep(COMPLETE)
    answer = await service.send("GET", f"/files/{key}", fields)
    await store.close()

    assert in_front == ("x-accel-redirect" in answer.headers)
    assert (200, b"" if in_front else IMAGE) == (answer.status_code, answer.content)
