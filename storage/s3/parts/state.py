"""
What has to be remembered of an upload in a bucket.  Nothing here waits or asks a server.
"""

# Theory of operation
# -------------------
#
# What is durable of an upload is a row of parts, numbered from 1 without gaps and each of the size that the plan gives it, and
# behind them the *tail*: a few *pieces*, objects of their own, together smaller than the next part.  The last part may be short.
# All this stands in the record of the upload, and a server is never asked what it has: the recorded ETags say what counts.
#
# An upload without a multipart upload, whose one part is an object already, is *published*: that is how small content comes.
#
# A server is not asked either whether somebody completed the multipart upload, which the record need not know: it may have been
# taken back (see below), or its content read.  The record then is of another failover epoch than the state, or the state of none.
#
# Every name has a random end, chosen by the append that makes the object: so nobody overwrites what somebody else made, however
# late he wakes up.  Only who publishes writes to a name that was chosen before, and whoever publishes a state writes the same.
#
# A piece is superseded when the part that contains it is recorded, and a name when its parts were moved to another.  But the
# metadata store may take back the last revisions of a record, when it fails over or comes back from a disk that was behind, and
# then they are needed once more.  So what is superseded is kept for `KEPT` seconds, and remembered until an append deletes it.

from __future__ import annotations

import base64
import dataclasses
import enum
import json
import re
import struct
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from holdfast.storage.errors import Corrupted
from holdfast.storage.records import UNKNOWN, Parts
from holdfast.storage.s3.parts.crc32 import combine
from holdfast.storage.s3.parts.plan import PartPlan

_MD5 = re.compile(r"[0-9a-f]{32}")
MD5_BYTES = 16

# What the ends of names for content begin with, and no other.
CONTENT = "-"

SECONDS = 1
# Much longer than a failover loses revisions for: servers that are cut off are given up within half a minute.
KEPT = 600 * SECONDS
# So many are remembered; beyond that the oldest go before their time.
MOST_KEPT = 256


class Sums(enum.IntEnum):
    """Of what a server keeps the CRC-32, and so wants to be told it when a multipart upload is completed."""

    NONE = 0
    PARTS = 1
    WHOLE = 2
    """Of each part, and of all the content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part that is durable: what the server calls its content, without quotes, and its CRC-32, if one was made."""

    etag: str
    crc: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """An object with some bytes of the tail: the end of its name, its size, and what is known of its content."""

    name: str
    size: int
    etag: str
    crc: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """Where a part or a piece is, in bytes from the beginning, and what is known of its content."""

    start: int
    size: int
    etag: str
    crc: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Superseded:
    """An object whose bytes are in another one as well, since *at*, in seconds since the epoch; by the end of its name."""

    name: str
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PartState:
    """
    Everything that an upload has to remember.
    """

    plan: PartPlan
    generation: int = 0
    """That of the record when *name* was chosen: what earlier holders still do goes to another name."""
    name: str = ""
    """The end of the name under which the content is published, and its multipart upload made."""
    upload: str = ""
    """What the server calls the multipart upload; empty while there is none."""
    sums: Sums = Sums.NONE
    """What the server has said to know of that multipart upload."""
    parts: tuple[Part, ...] = ()
    short: int = 0
    """Size of the last part, where that is the end of the content and smaller than the plan says."""
    pieces: tuple[Piece, ...] = ()
    superseded: tuple[Superseded, ...] = ()
    """The oldest first."""
    failover_epoch: str = UNKNOWN
    """That of the record when nobody had completed the multipart upload yet; as long as it is the same, nobody has since."""

    @property
    def whole(self) -> int:
        """Where the last part ends."""
        if self.short:
            return self.plan.start_of(len(self.parts)) + self.short
        return self.plan.start_of(len(self.parts) + 1)

    @property
    def offset(self) -> int:
        """Bytes that are durable."""
        return self.whole + sum(piece.size for piece in self.pieces)

    @property
    def published(self) -> bool:
        """Whether the content is an object under its last name already."""
        return bool(self.parts) and not self.upload

    @property
    def crc(self) -> int | None:
        """The CRC-32 of everything that is durable, where one was made of each part and piece."""
        sums = [(extent.crc, extent.size) for extent in self.extents()]
        return combine((crc, size) for crc, size in sums if crc is not None) if all(crc is not None for crc, _ in sums) else None

    def extents(self) -> Iterator[Extent]:
        """
        Yield where each part and then each piece is.
        """
        start = 0
        for number, part in enumerate(self.parts, 1):
            size = self.short if self.short and number == len(self.parts) else self.plan.size_of(number)
            yield Extent(start=start, size=size, etag=part.etag, crc=part.crc)
            start += size
        for piece in self.pieces:
            yield Extent(start=start, size=piece.size, etag=piece.etag, crc=piece.crc)
            start += piece.size

    def outdated(self, now: float) -> tuple[str, ...]:
        """
        Return what was superseded so long ago that no earlier revision of the record, which needs it, comes back.
        """
        spare = len(self.superseded) - MOST_KEPT
        return tuple(each.name for count, each in enumerate(self.superseded) if count < spare or each.at <= now - KEPT)

    def spare(self, now: float) -> tuple[str, ...]:
        """
        Return what nobody needs any more when the content is published under the name of this state.

        An earlier revision that comes back finds the bytes of its pieces in the object; but not if it knows another name.
        """
        if any(each.name.startswith(CONTENT) and each.at > now - KEPT for each in self.superseded):
            return ()
        return (*(piece.name for piece in self.pieces), *(each.name for each in self.superseded))

    def without(self, names: Collection[str]) -> Self:
        """
        Return the state in which the superseded objects of these *names* are forgotten.
        """
        return dataclasses.replace(self, superseded=tuple(each for each in self.superseded if each.name not in names))

    def superseding(self, names: Iterable[str], now: float) -> Self:
        """
        Return the state in which objects of these *names* are superseded.
        """
        added = (Superseded(name=name, at=int(now)) for name in names)
        return dataclasses.replace(self, superseded=(*self.superseded, *added))

    def without_tail(self, now: float) -> Self:
        """
        Return the state in which another object, which the caller adds, contains what was in pieces.
        """
        return dataclasses.replace(self.superseding((piece.name for piece in self.pieces), now), pieces=())

    def with_part(self, part: Part, size: int) -> Self:
        """
        Return the state without pieces with one part more of *size* bytes.
        """
        short = 0 if size == self.plan.size_of(len(self.parts) + 1) else size
        return dataclasses.replace(self, parts=(*self.parts, part), short=short)

    def with_piece(self, piece: Piece) -> Self:
        """
        Return the state with one piece more.
        """
        return dataclasses.replace(self, pieces=(*self.pieces, piece))

    def to_parts(self) -> Parts:
        """
        Return the state as a record keeps it.
        """
        plan = [self.plan.first, self.plan.doubles_every, self.plan.most]
        pieces = [[piece.name, piece.size, piece.etag, piece.crc] for piece in self.pieces]
        line = [self.generation, self.name, self.upload, int(self.sums), self.failover_epoch]
        etags = _pack_etags([part.etag for part in self.parts])
        crcs = _pack_crcs([part.crc for part in self.parts])
        values = [plan, line, etags, crcs, self.short, pieces, [[each.name, each.at] for each in self.superseded]]
        return Parts(json.dumps(values, separators=(",", ":")))

    @classmethod
    def from_parts(cls, text: Parts) -> Self:
        """
        Return the state that `to_parts` wrote.

        :raises Corrupted: it did not write that.
        """
        try:
            (first, doubles_every, most), line, etags, crcs, short, pieces, superseded = json.loads(text)
            generation, name, upload, sums, failover_epoch = line
            known = _unpack_etags(etags)
            return cls(
                plan=PartPlan(first=first, doubles_every=doubles_every, most=most),
                generation=generation,
                name=name,
                upload=upload,
                sums=Sums(sums),
                parts=tuple(Part(etag=etag, crc=crc) for etag, crc in zip(known, _unpack_crcs(crcs, len(known)), strict=True)),
                short=short,
                pieces=tuple(Piece(name=name, size=size, etag=etag, crc=crc) for name, size, etag, crc in pieces),
                superseded=tuple(Superseded(name=name, at=at) for name, at in superseded),
                failover_epoch=failover_epoch,
            )
        except (ValueError, TypeError, IndexError, struct.error) as error:
            raise Corrupted("what was remembered of the parts cannot be understood") from error


# There may be 10,000 parts, recorded again and again: 27 characters for each, where its ETag is an MD5, as it is almost always.


def is_md5(etag: str) -> bool:
    """
    Say whether *etag* can be the MD5 of the content.
    """
    return _MD5.fullmatch(etag) is not None


def _pack_etags(etags: Sequence[str]) -> str | list[str]:
    if all(map(is_md5, etags)):
        return base64.b64encode(bytes.fromhex("".join(etags))).decode()
    return list(etags)


def _unpack_etags(packed: str | list[str]) -> list[str]:
    if not isinstance(packed, str):
        return [str(etag) for etag in packed]
    digests = base64.b64decode(packed, validate=True)
    return [digests[at : at + MD5_BYTES].hex() for at in range(0, len(digests), MD5_BYTES)]


def _pack_crcs(crcs: Sequence[int | None]) -> str | None:
    known = [crc for crc in crcs if crc is not None]
    return base64.b64encode(struct.pack(f">{len(known)}I", *known)).decode() if len(known) == len(crcs) else None


def _unpack_crcs(packed: str | None, count: int) -> Sequence[int | None]:
    if packed is None:
        return [None] * count
    return struct.unpack(f">{count}I", base64.b64decode(packed, validate=True))
