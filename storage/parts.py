"""
How the content of an upload is cut into the parts of an S3 multipart upload, and what has to be remembered of them.

Nothing here waits or asks a server.  Sizes and offsets are bytes; parts are numbered from 1.
"""

# Theory of operation
# -------------------
#
# Sizes are fixed when an upload begins: where a part begins and ends follows from its number alone.  So a part that is sent
# again, by whomever, is the same part, and a hole cannot be: what is durable is a row of whole parts without gaps, and then a
# tail that is shorter than the next one, kept as an object of its own until the part that contains it is recorded.
#
# S3 wants every part but the last to have 5 MiB at least, and has 10,000 at most; others have less (Scaleway 1,000), or want all
# of them alike (R2).  Of an unknown length the first parts are small, for most uploads are, and they double as it goes on.

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Self

from storage.errors import Corrupted
from storage.records import Parts

MiB = 1024 * 1024
GiB = 1024 * MiB
SMALLEST = 5 * MiB
LARGEST = 5 * GiB
# Some numbers stay free, for what nobody thought of.
SPARE_PARTS = 10
DOUBLINGS = 10


class TooManyParts(ValueError):
    """The content is larger than all parts together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartLimits:
    """What a server takes, and what its operator wants."""

    size: int = 8 * MiB
    """Of a part, where that is enough."""
    most: int = 10_000
    alike: bool = False
    """Whether all parts but the last have to have one size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartPlan:
    """
    Sizes by number: *first* for the first *doubles_every* parts, twice as much for as many that follow, and so on.

    *doubles_every* 0: all are alike.
    """

    first: int
    doubles_every: int
    most: int

    def size_of(self, number: int) -> int:
        """
        Return the size of a part that is not the last.

        :raises TooManyParts: there is no such part.
        """
        if not 1 <= number <= self.most:
            raise TooManyParts(f"there are {self.most} parts")
        return self.first << self._doubled(number)

    def start_of(self, number: int) -> int:
        """
        Return the offset at which a part begins; one behind the last is where all parts end.
        """
        if not self.doubles_every:
            return (number - 1) * self.first
        doubled = self._doubled(number)
        before = ((1 << doubled) - 1) * self.doubles_every
        return self.first * (before + ((number - 1) % self.doubles_every << doubled))

    def number_at(self, offset: int) -> int:
        """
        Return the part that the byte at *offset* belongs to.

        :raises TooManyParts: it belongs to none.
        """
        blocks = offset // self.first
        if not self.doubles_every:
            number = blocks + 1
        else:
            doubled = (blocks // self.doubles_every + 1).bit_length() - 1
            before = ((1 << doubled) - 1) * self.doubles_every
            number = doubled * self.doubles_every + (blocks - before >> doubled) + 1
        if number > self.most:
            raise TooManyParts(f"content of {offset} bytes and more does not fit into {self.most} parts")
        return number

    @property
    def capacity(self) -> int:
        """Bytes in all parts together."""
        return self.start_of(self.most + 1)

    def _doubled(self, number: int) -> int:
        return (number - 1) // self.doubles_every if self.doubles_every else 0


def plan_parts(length: int | None, limits: PartLimits) -> PartPlan:
    """
    Return the sizes of the parts of an upload; *length* is None while nobody knows it.

    :raises TooManyParts: not even the largest parts are enough.
    """
    size = max(limits.size, SMALLEST)
    if length is None:
        doubles_every = 0 if limits.alike else max(1, limits.most // DOUBLINGS)
        return PartPlan(first=size, doubles_every=doubles_every, most=limits.most)
    parts = max(1, limits.most - SPARE_PARTS)
    needed = -(-length // parts)
    size = max(size, -(-needed // MiB) * MiB)
    if size > LARGEST:
        raise TooManyParts(f"{length} bytes do not fit into {limits.most} parts of {LARGEST} bytes")
    return PartPlan(first=size, doubles_every=0, most=limits.most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part that is durable: what the server calls its content, and its CRC-32, if one was made."""

    etag: str
    crc: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """Bytes behind the last whole part, in an object of their own: *epoch* is that of the lease they were written under."""

    size: int
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PartState:
    """
    Everything that a multipart upload has to remember.  *upload_id* is empty before its first part.
    """

    plan: PartPlan
    upload_id: str = ""
    parts: tuple[Part, ...] = ()
    tail: Tail | None = None

    @property
    def whole(self) -> int:
        """Where the last whole part ends."""
        return self.plan.start_of(len(self.parts) + 1)

    @property
    def offset(self) -> int:
        """Bytes that are durable."""
        return self.whole + (0 if self.tail is None else self.tail.size)

    def to_parts(self) -> Parts:
        """
        Return the state as a record keeps it.
        """
        tail = None if self.tail is None else [self.tail.size, self.tail.epoch]
        plan = [self.plan.first, self.plan.doubles_every, self.plan.most]
        parts = [[part.etag, part.crc] for part in self.parts]
        return Parts(json.dumps([plan, self.upload_id, parts, tail], separators=(",", ":")))

    @classmethod
    def from_parts(cls, text: Parts) -> Self:
        """
        Return the state that `to_parts` wrote.

        :raises Corrupted: it did not write that.
        """
        try:
            (first, doubles_every, most), upload_id, parts, tail = json.loads(text)
            return cls(
                plan=PartPlan(first=first, doubles_every=doubles_every, most=most),
                upload_id=upload_id,
                parts=tuple(Part(etag=etag, crc=crc) for etag, crc in parts),
                tail=None if tail is None else Tail(size=tail[0], epoch=tail[1]),
            )
        except (ValueError, TypeError, IndexError) as error:
            raise Corrupted("what was remembered of the parts cannot be understood") from error
