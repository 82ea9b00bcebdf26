"""
How each protocol tells that a store has lost bytes: by the offset that is left, and never as a trouble that passes.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from holdfast.storage.memory import MemoryByteStore
from holdfast.storage.records import Key
from tests.protocols import draft_requests, tus_requests
from tests.protocols.attachments_requests import ENTRY_URL, part, span
from tests.protocols.service import COMPLETE, HALF, HALF_SENT, IMAGE, LENGTH, RECEIVED, Service
from tests.protocols.speakers import SPEAKERS

# An append at the offset that was told, and a question: path, fields, the status and the fields that tell the new offset.
APPENDS: dict[str, tuple[str, Mapping[str, str]]] = {
    "tus": ("/files/{key}", tus_requests.at(HALF)),
    "the attachments API": (ENTRY_URL, span(HALF, LENGTH - 1)),
    "the IETF draft": ("/files/{key}", draft_requests.append(HALF, "?1")),
}


def lose(service: Service, key: Key, left: int) -> None:
    """Take everything behind the first *left* bytes away from the store."""
    assert isinstance(service.stores.content, MemoryByteStore)
    service.stores.content.lose(key, left)


@pytest.mark.parametrize("left", [0, 4])
@pytest.mark.parametrize("protocol", SPEAKERS)
async def test_an_append_after_a_loss(service: Service, protocol: str, left: int) -> None:
    """It is refused as one at a wrong offset, with the right one; from there every client goes on, and finishes."""
    key = await service.keep(HALF_SENT)
    lose(service, key, left)
    path, fields = APPENDS[protocol]
    content = part(HALF, LENGTH - 1) if protocol == "the attachments API" else IMAGE[HALF:]
    refused = await service.send("PATCH", path.replace("{key}", key), fields, content)
    told = refused.headers.get("Upload-Offset") or refused.json()["offset"]

    assert (409, left) == (refused.status_code, int(told))
    assert "lost" in refused.text

    await SPEAKERS[protocol].finish(service, key)

    assert IMAGE == await service.content(key)


@pytest.mark.parametrize("protocol", SPEAKERS)
async def test_a_finish_after_a_loss(service: Service, protocol: str) -> None:
    """Whoever asks how far an upload is that had all its bytes is told what is left, and sends the rest."""
    key = await service.keep(RECEIVED)
    lose(service, key, 4)
    await SPEAKERS[protocol].finish(service, key)

    assert IMAGE == await service.content(key)


@pytest.mark.parametrize("path", ["/files/{key}", "/.api2/binaries/{key}/download/any"])
async def test_a_download_of_what_is_lost(service: Service, path: str) -> None:
    """It is gone for good, and says why."""
    key = await service.keep(COMPLETE)
    lose(service, key, 0)
    response = await service.send("GET", path.replace("{key}", key))

    assert 410 == response.status_code
    assert "content_lost" in response.text
