"""
Content that comes encoded: kept as it is, told what it is, and never taken for what it is not.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from holdfast.service.core.policies import Policy
from holdfast.service.stores import Stores
from holdfast.storage.durability import Durability
from holdfast.storage.local.store import LocalByteStore
from holdfast.storage.memory import MemoryLeases, MemoryMetadataStore
from holdfast.storage.records import State
from tests.pictures import PNG
from tests.protocols.draft_requests import append, creation
from tests.protocols.service import Serve, Service, key_of

TEXT = b"holdfast grips kelp, " * 50
GZIPPED = gzip.compress(TEXT, mtime=0)
USER = "0f8fad5b-d9cb-469f-a165-70867728950e"
SLOT = f"user/{USER}/ProfilePhoto"


async def upload(service: Service, encoding: str, content: bytes = GZIPPED, kind: str = "text/plain") -> str:
    """Return the key of a complete upload in two requests."""
    fields = creation("?0", Content_Type=kind, Content_Encoding=encoding)
    begun = await service.send("POST", "/files", fields, content[:9])
    key = key_of(begun)
    await service.send("PATCH", f"/files/{key}", append(9, "?1"), content[9:])
    return key


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ("gzip", "gzip"),
        ("GZip", "gzip"),
        ("x-frond,X-Kelp", "x-frond, x-kelp"),
        (" , gzip ,identity", "gzip"),
        ("identity", None),
        ("", None),
    ],
)
async def test_it_is_kept_and_served(service: Service, sent: str, told: str | None) -> None:
    """A download says how its content is encoded, as the creation did; offsets count encoded bytes, parts are of these."""
    key = await upload(service, sent)
    whole, part = await service.send("GET", f"/files/{key}"), await service.send("HEAD", f"/files/{key}", {"Range": "bytes=0-1"})
    known = await service.send("GET", f"/api/v1/attachments/{key}")
    record = await service.record(key)

    assert record is not None
    assert (State.COMPLETE, len(GZIPPED), told) == (record.state, record.offset, record.content_encoding)
    assert [told, told] == [answer.headers.get("Content-Encoding") for answer in (whole, part)]
    assert str(len(GZIPPED)) == whole.headers["Content-Length"]
    assert "text/plain" == whole.headers["Content-Type"].partition(";")[0]
    assert ("attachment" if told else "inline") == whole.headers["Content-Disposition"]
    assert told == known.json()["contentEncoding"]
    if told == "gzip":
        assert TEXT == whole.content  # decoded by the client


async def test_parts_are_of_what_is_stored(service: Service) -> None:
    """A range is one of the encoded bytes."""
    key = await upload(service, "x-kelp")  # which no client decodes
    part = await service.send("GET", f"/files/{key}", {"Range": "bytes=3-8"})

    assert (206, GZIPPED[3:9], f"bytes 3-8/{len(GZIPPED)}") == (part.status_code, part.content, part.headers["Content-Range"])


@pytest.mark.parametrize("wrong", ["gzip;q=1", "g zip", "gzip\x00", "=", "a" * 65, "gzip," * 13, '"gzip"'])
async def test_what_is_no_coding_is_refused(service: Service, wrong: str) -> None:
    """A field that cannot be served as it came begins no upload."""
    answer = await service.send("POST", "/files", creation("?1", Content_Encoding=wrong), GZIPPED)

    assert (400, "content_encoding_invalid") == (answer.status_code, answer.json()["title"])
    assert "Location" not in answer.headers


async def test_slots_of_images_take_none(service: Service) -> None:
    """What is encoded gets into no slot that looks at content: when the upload begins, or when it is attached."""
    await service.send("PUT", f"/api/v1/objects/user/{USER}", {"Content-Type": "application/json"}, b"{}")
    encoded = gzip.compress(PNG)
    meant = creation("?1", Content_Type="image/png", Content_Encoding="gzip", Holdfast_Attach_To=SLOT)
    begun = await service.send("POST", "/files", meant, encoded)
    key = await upload(service, "gzip", encoded, "image/png")
    attached = await service.send("PUT", f"/api/v1/objects/user/{USER}/slots/ProfilePhoto/attachments/{key}")
    disguised = await upload(service, "gzip", PNG, "image/png")
    refused = await service.send("PUT", f"/api/v1/objects/user/{USER}/slots/ProfilePhoto/attachments/{disguised}")

    for answer in (begun, attached, refused):
        assert (415, "content_type_not_accepted") == (answer.status_code, answer.json()["title"])
        assert "without a coding" in answer.json()["detail"]


async def test_other_slots_take_it(serve: Serve) -> None:
    """A slot of any content takes what is encoded."""
    service = await serve(slots=(Policy(kind="ticket", slot="Files"),))
    await service.send("PUT", "/api/v1/objects/ticket/1", {"Content-Type": "application/json"}, b"{}")
    key = await upload(service, "gzip")
    attached = await service.send("PUT", f"/api/v1/objects/ticket/1/slots/Files/attachments/{key}")

    assert 200 == attached.status_code


async def test_no_server_in_front_sends_it(serve: Serve, tmp_path: Path) -> None:
    """An nginx that is told which file to send would not tell how it is encoded: the service sends it by itself."""
    content = LocalByteStore(str(tmp_path / "bytes"), Durability.NONE)
    stores = Stores(content=content, metadata=MemoryMetadataStore(), leases=MemoryLeases())
    service = await serve(stores=stores, bytes_url=f"file:{tmp_path / 'bytes'}", accel_redirect="/held/")
    plain = await service.send("GET", f"/files/{await upload(service, '')}")
    encoded = await service.send("GET", f"/files/{await upload(service, 'x-kelp')}")
    await stores.close()

    assert (True, b"") == ("X-Accel-Redirect" in plain.headers, plain.content)
    assert (False, GZIPPED) == ("X-Accel-Redirect" in encoded.headers, encoded.content)
