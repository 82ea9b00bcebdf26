"""
How the content of an upload is cut into the parts of an S3 multipart upload; no I/O.

Sizes and offsets are bytes; parts are numbered from 1.
"""

# Theory of operation
# -------------------
#
# Sizes are fixed when an upload begins: where a part begins and ends follows from its number alone.  So a part that is sent
# again, by any process, is the same part, and there are no gaps: what is durable is a run of whole parts, and then a tail that
# is shorter than the next part (see `holdfast.storage.s3.parts.state`).
#
# S3 wants at least 5 MiB for every part but the last, and at most 10,000 parts; other servers allow fewer (Scaleway 1,000), or
# want equal parts (R2).  If the length is unknown, the first parts are small, as most uploads are, and parts double as it goes
# on.

from __future__ import annotations

from dataclasses import dataclass

MiB = 1024 * 1024
GiB = 1024 * MiB
SMALLEST = 5 * MiB
LARGEST = 5 * GiB
# Numbers that stay free, as a margin.
SPARE_PARTS = 10
DOUBLINGS = 10


class TooManyParts(ValueError):
    """The content is larger than all parts together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartLimits:
    """The bounds of parts: those of the server, and the operator's choice."""

    size: int = 8 * MiB
    """Bytes of a part, unless the upload needs larger ones."""
    most: int = 10_000
    alike: bool = False
    """Whether all parts but the last must have the same size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartPlan:
    """
    Sizes by number: *first* bytes for the first *doubles_every* parts, twice as much for as many that follow, and so on; equal
    sizes if *doubles_every* is 0.
    """

    first: int
    doubles_every: int
    most: int

    def size_of(self, number: int) -> int:
        """
        Return the size of a part that is not the last.

        :raises TooManyParts: *number* exceeds the most parts.
        """
        if not 1 <= number <= self.most:
            raise TooManyParts(f"there are {self.most} parts")
        return self.first << self._doubled(number)

    def start_of(self, number: int) -> int:
        """Return the offset at which a part begins; for one more than the most parts, the capacity."""
        if not self.doubles_every:
            return (number - 1) * self.first
        doubled = self._doubled(number)
        before = ((1 << doubled) - 1) * self.doubles_every
        return self.first * (before + ((number - 1) % self.doubles_every << doubled))

    def number_at(self, offset: int) -> int:
        """
        Return the part that the byte at *offset* belongs to.

        :raises TooManyParts: it lies behind all parts.
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
    Return the sizes of the parts of an upload; a *length* of None means that it is unknown.

    :raises TooManyParts: not even the largest parts suffice.
    """
    size = min(max(limits.size, SMALLEST), LARGEST)
    if length is None:
        # The last of them stays within the largest part.
        sizes = 1 if limits.alike else min(DOUBLINGS, (LARGEST // size).bit_length())
        return PartPlan(first=size, doubles_every=0 if sizes == 1 else -(-limits.most // sizes), most=limits.most)
    parts = max(1, limits.most - SPARE_PARTS)
    needed = -(-length // parts)
    size = max(size, -(-needed // MiB) * MiB)
    if size > LARGEST:
        raise TooManyParts(f"{length} bytes do not fit into {limits.most} parts of {LARGEST} bytes")
    return PartPlan(first=size, doubles_every=0, most=limits.most)
