"""
draft-ietf-httpbis-resumable-upload: the interop version that an answer follows.
"""

from __future__ import annotations

import pytest

from tests.protocols.draft_requests import append, creation
from tests.protocols.service import COMPLETE, HALF, HALF_SENT, IMAGE, NOTHING, Given, Service

VERSION = "Upload-Draft-Interop-Version"


@pytest.mark.parametrize(
    ("named", "told"),
    [
        *((str(version), str(version)) for version in range(3, 11)),
        ("2", "10"),
        ("11", "10"),
        ("99;a", "10"),
        ("-1", "10"),
        ("x", "10"),
    ],
)
async def test_the_version_that_is_named(service: Service, named: str, told: str) -> None:
    """A known version comes back; one that is not known, or is none, is answered by the rules of the newest, and that is told."""
    begun = await service.send("POST", "/files", creation("?0") | {VERSION: named}, IMAGE)
    asked = await service.send("HEAD", begun.headers["Location"].removeprefix("http://holdfast.test"), {VERSION: named})
    refused = await service.send("POST", "/files", {VERSION: named}, IMAGE)

    assert [201, 204, 400] == [answer.status_code for answer in (begun, asked, refused)]
    assert [told] * 3 == [answer.headers[VERSION] for answer in (begun, asked, refused)]


@pytest.mark.parametrize(
    ("method", "given", "fields", "told"),
    [
        ("PATCH", HALF_SENT, append(HALF), "10"),
        ("PATCH", NOTHING, append(HALF), "10"),
        ("DELETE", HALF_SENT, {VERSION: "8"}, "8"),
        ("GET", COMPLETE, {VERSION: "9"}, "9"),
        ("HEAD", COMPLETE, {}, None),
        ("GET", COMPLETE, {}, None),
        ("GET", NOTHING, {}, None),
        ("HEAD", COMPLETE, {"Tus-Resumable": "1.0.0"}, None),
    ],
)
async def test_who_is_told(service: Service, method: str, given: Given, fields: dict[str, str], told: str | None) -> None:
    """The version is told to those who speak the draft, whatever the answer is, and to nobody else."""
    answer = await service.send(method, f"/files/{await service.keep(given)}", fields)

    assert told == answer.headers.get(VERSION)
