"""
The port by which a byte store says what is left of content that it promised, after it has said that some of it is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from holdfast.storage.records import Parts, UploadRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Remains:
    """What is left of an open upload: its first *offset* bytes, and what the store must remember of them."""

    offset: int
    parts: Parts


class Salvage(Protocol):
    """
    Looks at content that is not published.
    """

    async def salvage(self, record: UploadRecord) -> Remains:
        """
        Return how many of the first *record.offset* bytes can be gone on from.

        With what it returns on the record, an append and then a completion find every byte that they need.  The caller holds the
        lease.

        :raises Unavailable: this cannot be told now.
        """
        ...
