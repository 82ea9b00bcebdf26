"""What the record of an upload keeps about its objects in a bucket; no I/O."""

# Theory of operation
# -------------------
#
# What is durable of an upload is a run of parts, numbered from 1 without gaps, each of the size that the plan gives it, and
# behind them the *tail*: a few *pieces*, objects of their own, together smaller than the next part.  The last part may be
# short.  The record of the upload has all this, and the server is never asked what it has: the recorded ETags decide.
#
# An upload without a multipart upload, whose one part is an object already, is *published*: small content is stored like that.
#
# Nor is the server asked whether the multipart upload was completed without a trace in the record: its content may have been
# read, or the record taken back (see below).  Then the failover epoch of the record differs from that of the state, or the
# state has none.
#
# Every name has a random end, chosen by the append that makes the object, so no process overwrites what another one made,
# however late it goes on.  Only publishing writes to a name that was chosen before, and all that publish one state write the
# same.
#
# A piece is superseded when the part that contains it is recorded, and a name when its parts were moved to another.  But the
# metadata store may take back the last revisions of a record, when it fails over or restarts from a disk that lagged; then they
# are needed again.  So superseded objects are kept for `KEPT` seconds, and remembered until an append deletes them.

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

# The beginning of the ends of names for content, and of no others.
CONTENT = "-"

SECONDS = 1
# Much longer than the time for which a failover loses revisions: an isolated primary is replaced within half a minute.
KEPT = 600 * SECONDS
# At most this many are remembered; the oldest are dropped early.
MOST_KEPT = 256


class Sums(enum.IntEnum):
    """What the server keeps CRC-32s of, and therefore expects when a multipart upload is completed."""

    NONE = 0
    PARTS = 1
    WHOLE = 2
    """Of each part, and of the whole content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A durable part: its ETag without quotes, and its CRC-32 if there is one."""

    etag: str
    crc: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """An object with some bytes of the tail: the end of its name, its size in bytes, its ETag and its CRC-32 if there is one."""

    name: str
    size: int
    etag: str
    crc: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """The bytes of a part or a piece: offset in the content, size, ETag, and CRC-32 if there is one."""

    start: int
    size: int
    etag: str
    crc: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Superseded:
    """An object, by the end of its name, whose bytes are in another one as well since *at* (seconds since the epoch)."""

    name: str
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PartState:
    """What the record of an upload keeps about its objects."""

    plan: PartPlan
    generation: int = 0
    """The record's generation when *name* was chosen; holders that are fenced off write to other names."""
    name: str = ""
    """The end of the name of the content and of its multipart upload."""
    upload: str = ""
    """The server's id of the multipart upload; empty if there is none."""
    sums: Sums = Sums.NONE
    """What the server confirmed to keep for that multipart upload."""
    parts: tuple[Part, ...] = ()
    short: int = 0
    """Bytes of the last part, if it ends the content and is smaller than planned; else 0."""
    pieces: tuple[Piece, ...] = ()
    superseded: tuple[Superseded, ...] = ()
    """The oldest first."""
    failover_epoch: str = UNKNOWN
    """The record's failover epoch when the multipart upload was not completed yet; if it is unchanged, it still is not."""

    @property
    def whole(self) -> int:
        """The offset at which the last part ends."""
        if self.short:
            return self.plan.start_of(len(self.parts)) + self.short
        return self.plan.start_of(len(self.parts) + 1)

    @property
    def offset(self) -> int:
        """Bytes that are durable."""
        return self.whole + sum(piece.size for piece in self.pieces)

    @property
    def published(self) -> bool:
        """Whether the content is an object under its final name already."""
        return bool(self.parts) and not self.upload

    @property
    def crc(self) -> int | None:
        """The CRC-32 of everything that is durable, if each part and piece has one."""
        sums = [(extent.crc, extent.size) for extent in self.extents()]
        return combine((crc, size) for crc, size in sums if crc is not None) if all(crc is not None for crc, _ in sums) else None

    def extents(self) -> Iterator[Extent]:
        """Yield the extent of each part, then of each piece."""
        start = 0
        for number, part in enumerate(self.parts, 1):
            size = self.short if self.short and number == len(self.parts) else self.plan.size_of(number)
            yield Extent(start=start, size=size, etag=part.etag, crc=part.crc)
            start += size
        for piece in self.pieces:
            yield Extent(start=start, size=piece.size, etag=piece.etag, crc=piece.crc)
            start += piece.size

    def outdated(self, now: float) -> tuple[str, ...]:
        """Return what was superseded so long ago that no revision of the record that needs it can come back."""
        spare = len(self.superseded) - MOST_KEPT
        return tuple(each.name for count, each in enumerate(self.superseded) if count < spare or each.at <= now - KEPT)

    def spare(self, now: float) -> tuple[str, ...]:
        """
        Return what is no longer needed once the content is published under the name of this state.

        A revision that comes back finds the bytes of its pieces in the object, but not if it has another name.
        """
        if any(each.name.startswith(CONTENT) and each.at > now - KEPT for each in self.superseded):
            return ()
        return (*(piece.name for piece in self.pieces), *(each.name for each in self.superseded))

    def without(self, names: Collection[str]) -> Self:
        """Return the state without the superseded objects of these *names*."""
        return dataclasses.replace(self, superseded=tuple(each for each in self.superseded if each.name not in names))

    def superseding(self, names: Iterable[str], now: float) -> Self:
        """Return the state with the objects of these *names* superseded."""
        added = (Superseded(name=name, at=int(now)) for name in names)
        return dataclasses.replace(self, superseded=(*self.superseded, *added))

    def without_tail(self, now: float) -> Self:
        """Return the state with its pieces superseded, by an object that the caller adds."""
        return dataclasses.replace(self.superseding((piece.name for piece in self.pieces), now), pieces=())

    def with_part(self, part: Part, size: int) -> Self:
        """Return the state with one more part of *size* bytes; the state has no pieces."""
        short = 0 if size == self.plan.size_of(len(self.parts) + 1) else size
        return dataclasses.replace(self, parts=(*self.parts, part), short=short)

    def with_piece(self, piece: Piece) -> Self:
        """Return the state with one more piece."""
        return dataclasses.replace(self, pieces=(*self.pieces, piece))

    def to_parts(self) -> Parts:
        """Return the state as text for the record."""
        plan = [self.plan.first, self.plan.doubles_every, self.plan.most]
        pieces = [[piece.name, piece.size, piece.etag, piece.crc] for piece in self.pieces]
        upload = [self.generation, self.name, self.upload, int(self.sums), self.failover_epoch]
        etags = _pack_etags([part.etag for part in self.parts])
        crcs = _pack_crcs([part.crc for part in self.parts])
        values = [plan, upload, etags, crcs, self.short, pieces, [[each.name, each.at] for each in self.superseded]]
        return Parts(json.dumps(values, separators=(",", ":")))

    @classmethod
    def from_parts(cls, text: Parts) -> Self:
        """
        Return the state that `to_parts` wrote as *text*.

        :raises Corrupted: *text* is malformed.
        """
        try:
            (first, doubles_every, most), identity, etags, crcs, short, pieces, superseded = json.loads(text)
            generation, name, upload, sums, failover_epoch = identity
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
            raise Corrupted("the record's state of the parts is malformed") from error


# There may be 10,000 parts, recorded again and again: each takes 27 characters if its ETag is an MD5, which almost all are.


def is_md5(etag: str) -> bool:
    """Say whether *etag* can be the MD5 of the content."""
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
