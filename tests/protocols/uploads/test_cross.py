"""
One upload, every protocol: what is begun in one is finished in another.
"""

from __future__ import annotations

import hashlib
import itertools

import pytest

from holdfast.storage.records import State
from tests.protocols.attachments_requests import COMMUNITY_URL, ENTRY_URL, JSON, entry, part, span
from tests.protocols.draft_requests import INTEROP, append
from tests.protocols.service import HALF, IMAGE, LENGTH, Service, key_of
from tests.protocols.speakers import SPEAKERS
from tests.protocols.tus_requests import VERSION, at, creation

DIGEST = hashlib.sha256(IMAGE).hexdigest()
PAIRS = list(itertools.permutations(SPEAKERS, 2))
DEFERRED_PAIRS = [pair for pair in PAIRS if pair[0] != "the attachments API"]
SPLITS = (0, 1, 8, HALF, LENGTH - 1, LENGTH)


async def _check(service: Service, key: str) -> None:
    """Compare what is downloaded with what was uploaded, under every URL that serves it."""
    paths = (f"/files/{key}", f"/.api2/binaries/{key}/download/any")
    digests = {hashlib.sha256((await service.send("GET", path)).content).hexdigest() for path in paths}
    record = await service.record(key)

    assert record is not None
    assert (State.COMPLETE, LENGTH) == (record.state, record.length)
    assert {DIGEST} == digests


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(("first", "second"), PAIRS, ids=[f"{first} then {second}" for first, second in PAIRS])
async def test_begun_and_finished(service: Service, first: str, second: str, split: int) -> None:
    """An upload that is begun in one protocol is finished in another, wherever it was cut."""
    key = await SPEAKERS[first].begin(service, split, deferred=False)
    await SPEAKERS[second].finish(service, key)

    await _check(service, key)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(("first", "second"), DEFERRED_PAIRS, ids=[f"{first} then {second}" for first, second in DEFERRED_PAIRS])
async def test_deferred_length(service: Service, first: str, second: str, split: int) -> None:
    """An upload whose length nobody told is finished in another protocol, which tells it."""
    key = await SPEAKERS[first].begin(service, split, deferred=True)
    await SPEAKERS[second].finish(service, key)

    await _check(service, key)


async def test_all_three(service: Service) -> None:
    """Three protocols take turns at one upload."""
    created = await service.send("POST", "/files", creation(LENGTH))
    key = key_of(created)
    appended = [
        await service.send("PATCH", f"/files/{key}", at(0), IMAGE[:5]),
        await service.send("PATCH", ENTRY_URL.replace("{key}", key), span(5, 9), part(5, 9)),
        await service.send("PATCH", f"/files/{key}", append(10), IMAGE[10:15]),
        await service.send("PATCH", f"/files/{key}", at(15), IMAGE[15:]),
    ]

    assert [204, 202, 204, 204] == [response.status_code for response in appended]
    await _check(service, key)


async def test_all_see_the_same(service: Service) -> None:
    """Each protocol tells the offset that another has come to."""
    created = await service.send("POST", COMMUNITY_URL, JSON, entry())
    key = key_of(created)
    await service.send("PATCH", f"/files/{key}", append(0), IMAGE[:HALF])
    answers = [
        await service.send("HEAD", f"/files/{key}", VERSION),
        await service.send("HEAD", f"/files/{key}", INTEROP),
        await service.send("HEAD", created.headers["Location"]),
    ]

    assert [str(HALF)] * 3 == [response.headers["Upload-Offset"] for response in answers]


async def test_the_declared_type_binds_everybody(service: Service) -> None:
    """Content that is not of the type of its entry is refused, whichever protocol finishes it."""
    created = await service.send("POST", COMMUNITY_URL, JSON, entry(ContentType="image/gif"))
    key = key_of(created)
    by_tus = await service.send("PATCH", f"/files/{key}", at(0), b"<!DOCTYPE html>".ljust(LENGTH))
    download = await service.send("GET", f"/files/{key}")

    assert (422, 422) == (by_tus.status_code, download.status_code)


async def test_tus_reads_an_offset_at_the_length_as_success(service: Service) -> None:
    """An upload that the IETF draft left open at its full length is complete once a tus client was told so."""
    key = await SPEAKERS["the IETF draft"].begin(service, LENGTH, deferred=False)
    before = await service.record(key)
    await service.send("HEAD", f"/files/{key}", VERSION)
    after = await service.record(key)

    assert before is not None
    assert after is not None
    assert (State.OPEN, State.COMPLETE) == (before.state, after.state)
