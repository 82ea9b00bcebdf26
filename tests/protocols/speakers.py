"""
Each protocol as a client that begins an upload, or finishes what another has begun.
"""

from __future__ import annotations

from typing import Protocol

from tests.protocols import draft_requests, tus_requests
from tests.protocols.attachments_requests import COMMUNITY_URL, ENTRY_URL, JSON, entry
from tests.protocols.service import IMAGE, LENGTH, Service, key_of


class Speaker(Protocol):
    """One protocol, speaking of `IMAGE`."""

    async def begin(self, service: Service, sent: int, *, deferred: bool) -> str:
        """
        Create an upload, send its first *sent* bytes, and return its key; *deferred*, if its length is not told yet.
        """
        ...

    async def finish(self, service: Service, key: str) -> None:
        """
        Ask how far the upload is, and send the rest.
        """
        ...


class TusSpeaker:
    """
    tus 1.0.0.
    """

    async def begin(self, service: Service, sent: int, *, deferred: bool) -> str:
        length = {"Upload-Defer-Length": "1"} if deferred else {"Upload-Length": str(LENGTH)}
        created = await service.send("POST", "/files", tus_requests.VERSION | length)
        if sent:
            await service.send("PATCH", created.headers["Location"], tus_requests.at(0), IMAGE[:sent])
        return key_of(created)

    async def finish(self, service: Service, key: str) -> None:
        asked = await service.send("HEAD", f"/files/{key}", tus_requests.VERSION)
        offset = int(asked.headers["Upload-Offset"])
        fields = tus_requests.at(offset, Upload_Length=str(LENGTH))
        response = await service.send("PATCH", f"/files/{key}", fields, IMAGE[offset:])

        assert (204, str(LENGTH)) == (response.status_code, response.headers["Upload-Offset"])


class AttachmentsSpeaker:
    """
    The attachments API.
    """

    async def begin(self, service: Service, sent: int, *, deferred: bool) -> str:
        assert not deferred, "the attachments API wants to know the length"
        created = await service.send("POST", COMMUNITY_URL, JSON, entry())
        key = key_of(created)
        if sent:
            await self._patch(service, key, 0, sent - 1)
        return key

    async def finish(self, service: Service, key: str) -> None:
        asked = await service.send("PATCH", ENTRY_URL.replace("{key}", key), {"Content-Range": f"bytes */{LENGTH}"})
        status, offset = asked.status_code, asked.json()["offset"]
        if status != 200:
            # Where all bytes are there, and nobody told that they are all, one of them is sent again.
            status = await self._patch(service, key, min(offset, LENGTH - 1), LENGTH - 1)

        assert status == 200

    async def _patch(self, service: Service, key: str, first: int, last: int) -> int:
        fields = {"Content-Range": f"bytes {first}-{last}/{LENGTH}", "Content-Type": "image/png"}
        response = await service.send("PATCH", ENTRY_URL.replace("{key}", key), fields, IMAGE[first : last + 1])
        return response.status_code


class DraftSpeaker:
    """
    The IETF draft.
    """

    async def begin(self, service: Service, sent: int, *, deferred: bool) -> str:
        length = {} if deferred else {"Upload-Length": str(LENGTH)}
        created = await service.send("POST", "/files", draft_requests.creation("?0") | length, IMAGE[:sent])
        return key_of(created)

    async def finish(self, service: Service, key: str) -> None:
        asked = await service.send("HEAD", f"/files/{key}", draft_requests.INTEROP)
        offset = int(asked.headers["Upload-Offset"])
        response = await service.send("PATCH", f"/files/{key}", draft_requests.append(offset, "?1"), IMAGE[offset:])

        assert (204, "?1") == (response.status_code, response.headers["Upload-Complete"])


SPEAKERS: dict[str, Speaker] = {
    "tus": TusSpeaker(),
    "the attachments API": AttachmentsSpeaker(),
    "the IETF draft": DraftSpeaker(),
}
