"""
The port by which a byte store says that there is no room, before anything is sent.
"""

from __future__ import annotations

from typing import Protocol

from holdfast.storage.records import UploadRecord


class Room(Protocol):
    """
    Knows how much fits, as far as that can be known.
    """

    async def expect(self, record: UploadRecord) -> None:
        """
        Return when a client that waits to be told may send all that is missing of an upload.

        :raises NoSpace: it does not fit.
        """
        ...
