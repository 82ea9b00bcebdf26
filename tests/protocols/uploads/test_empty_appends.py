"""
Appends without content, by the protocols that have them.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.protocols.draft_requests import append
from tests.protocols.service import HALF, HALF_SENT, IMAGE, Service
from tests.protocols.tus_requests import at

REST = IMAGE[HALF:]


@pytest.mark.parametrize("fields_at", [at, append], ids=["tus", "the IETF draft"])
async def test_a_row_of_appends_without_content_ends(service: Service, fields_at: Callable[[int], dict[str, str]]) -> None:
    """An append without content is answered, and puts off nothing; in a row without an end the 101st is refused."""
    key = await service.keep(HALF_SENT)
    before = await service.record(key)
    contents: list[bytes | list[bytes]] = [b"", [b""]] * 50
    answers = [await service.send("PATCH", f"/files/{key}", fields_at(HALF), content) for content in contents]
    refused = await service.send("PATCH", f"/files/{key}", fields_at(HALF))
    after = await service.record(key)
    goes_on = [
        await service.send("PATCH", f"/files/{key}", fields_at(HALF), REST[:1]),
        await service.send("PATCH", f"/files/{key}", fields_at(10)),
    ]

    assert {204} == {answer.status_code for answer in answers}
    assert (429, "5", str(HALF)) == (refused.status_code, refused.headers["Retry-After"], refused.headers["Upload-Offset"])
    assert before == after
    assert [204, 204] == [answer.status_code for answer in goes_on]
