"""The port with which a byte store says what is left of acknowledged content, after it reported some of it as missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from holdfast.storage.records import Parts, UploadRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Remains:
    """What is left of an open upload: its first *offset* bytes, and the *parts* to record for them."""

    offset: int
    parts: Parts


class Salvage(Protocol):
    """Examines content that is not published."""

    async def salvage(self, record: UploadRecord) -> Remains:
        """
        Return how many of the first *record.offset* bytes an append can go on from.

        With the result on the record, an append and then a completion find every byte that they need.  The caller holds the
        lease.

        :raises Unavailable: the store cannot say now.
        """
        ...
