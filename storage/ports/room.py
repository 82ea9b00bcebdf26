"""The port with which a byte store refuses content for lack of room before the client sends it."""

from __future__ import annotations

from typing import Protocol

from holdfast.storage.records import UploadRecord


class Room(Protocol):
    """Knows whether content fits, as far as the store can."""

    async def expect(self, record: UploadRecord) -> None:
        """
        Return if all that is missing of an upload seems to fit; the client waits for that (Expect: 100-continue).

        :raises NoSpace: it does not fit.
        """
        ...
