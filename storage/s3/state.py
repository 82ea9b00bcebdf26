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
# Every name has a random end, chosen by the append that makes the object: so nobody overwrites what somebody else made, however
# late he wakes up.  Only who publishes writes to a name that was chosen before, and whoever publishes a state writes the same.
#
# A piece is superseded when the part that contains it is recorded.  But a failover of the metadata store may take back the last
# revision of a record, and then the piece is needed once more.  So what is superseded is first *old*; the next append from that
# recorded state makes it *stale*, and the one after that, beginning from a record in which it is stale, deletes it.

from __future__ import annotations

import base64
import dataclasses
import enum
import json
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from storage.errors import Corrupted
from storage.records import Parts
from storage.s3.crc32 import combine
from storage.s3.parts import PartPlan

_MD5 = re.compile(r"[0-9a-f]{32}")
MD5_BYTES = 16


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
    old: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()

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

    def aged(self) -> Self:
        """
        Return the state in which an append goes on from this one, which is recorded.
        """
        return dataclasses.replace(self, old=(), stale=self.old)

    def with_part(self, part: Part, size: int) -> Self:
        """
        Return the state with one part more of *size* bytes, which contains what was in pieces.
        """
        short = 0 if size == self.plan.size_of(len(self.parts) + 1) else size
        old = (*self.old, *(piece.name for piece in self.pieces))
        return dataclasses.replace(self, parts=(*self.parts, part), short=short, pieces=(), old=old)

    def with_piece(self, piece: Piece, *, merged: bool = False) -> Self:
        """
        Return the state with one piece more; or with that piece only, which contains what was in all others.
        """
        if not merged:
            return dataclasses.replace(self, pieces=(*self.pieces, piece))
        return dataclasses.replace(self, pieces=(piece,), old=(*self.old, *(piece.name for piece in self.pieces)))

    def to_parts(self) -> Parts:
        """
        Return the state as a record keeps it.
        """
        plan = [self.plan.first, self.plan.doubles_every, self.plan.most]
        pieces = [[piece.name, piece.size, piece.etag, piece.crc] for piece in self.pieces]
        line = [self.generation, self.name, self.upload, int(self.sums)]
        etags = _pack_etags([part.etag for part in self.parts])
        crcs = _pack_crcs([part.crc for part in self.parts])
        values = [plan, line, etags, crcs, self.short, pieces, self.old, self.stale]
        return Parts(json.dumps(values, separators=(",", ":")))

    @classmethod
    def from_parts(cls, text: Parts) -> Self:
        """
        Return the state that `to_parts` wrote.

        :raises Corrupted: it did not write that.
        """
        try:
            (first, doubles_every, most), line, etags, crcs, short, pieces, old, stale = json.loads(text)
            generation, name, upload, sums = line
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
                old=tuple(old),
                stale=tuple(stale),
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
