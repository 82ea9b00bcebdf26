"""
What is remembered of an upload in a bucket.
"""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.storage.errors import Corrupted
from holdfast.storage.records import Parts
from holdfast.storage.s3.parts.plan import SMALLEST, MiB, PartLimits, PartPlan, plan_parts
from holdfast.storage.s3.parts.state import KEPT, MOST_KEPT, Part, PartState, Piece, Sums, Superseded

crcs = st.integers(0, 2**32 - 1)
md5s = st.binary(min_size=16, max_size=16).map(bytes.hex)
names = st.text(max_size=20)
plans = st.builds(
    PartPlan, first=st.integers(SMALLEST, 64 * MiB), doubles_every=st.sampled_from([0, 1, 1000]), most=st.just(10_000)
)
pieces = st.builds(Piece, name=names, size=st.integers(1, SMALLEST), etag=md5s, crc=st.none() | crcs)


@st.composite
def states(draw: st.DrawFn) -> PartState:
    """Return anything that may have to be remembered."""
    etags = draw(st.lists(draw(st.sampled_from([md5s, st.text(max_size=40)])), max_size=5))
    sums = draw(st.sampled_from([st.none(), crcs]))
    plan = draw(plans)
    return PartState(
        plan=plan,
        generation=draw(st.integers(0, 99)),
        name=draw(names),
        upload=draw(st.text(max_size=200)),
        sums=draw(st.sampled_from(Sums)),
        parts=tuple(Part(etag=etag, crc=draw(sums)) for etag in etags),
        short=draw(st.integers(0, SMALLEST - 1)) if etags else 0,
        pieces=tuple(draw(st.lists(pieces, max_size=8))),
        superseded=tuple(draw(st.lists(st.builds(Superseded, name=names, at=st.integers(0, 2**40)), max_size=3))),
    )


@given(states())
def test_memory(state: PartState) -> None:
    """What is remembered comes back."""
    assert state == PartState.from_parts(state.to_parts())


def test_ten_thousand_parts_are_not_much() -> None:
    """The largest upload is remembered in less than 300 KiB."""
    parts = tuple(Part(etag=f"{number:032x}", crc=number) for number in range(10_000))
    text = PartState(plan=plan_parts(None, PartLimits()), upload="u" * 100, parts=parts).to_parts()

    assert 300 * 1024 > len(text)


@given(states())
def test_extents(state: PartState) -> None:
    """Parts and pieces follow each other without a hole, up to the offset."""
    at = 0
    for extent in state.extents():
        assert at == extent.start
        at += extent.size

    assert at == state.offset
    assert state.whole == state.offset - sum(piece.size for piece in state.pieces)


@given(st.lists(st.binary(max_size=9), max_size=4), st.binary(max_size=9))
def test_the_sum_of_everything(contents: list[bytes], tail: bytes) -> None:
    """The CRC-32 of everything is known where that of each part and piece is."""
    first = PartPlan(first=9, doubles_every=0, most=9)
    whole = [content.ljust(9, b".") for content in contents]
    state = PartState(plan=first, upload="u", parts=tuple(Part(etag="", crc=zlib.crc32(content)) for content in whole))
    state = state.with_piece(Piece(name="p", size=len(tail), etag="", crc=zlib.crc32(tail)))

    assert zlib.crc32(b"".join([*whole, tail])) == state.crc
    assert state.with_piece(Piece(name="q", size=1, etag="")).crc is None


def test_what_is_superseded() -> None:
    """What a part or a merger contains is remembered with the time, until it is outdated and deleted."""
    plan = PartPlan(first=9, doubles_every=0, most=9)
    one, other, both = (Piece(name=name, size=size, etag="") for name, size in (("1", 4), ("2", 4), ("12", 8)))
    state = PartState(plan=plan).with_piece(one).with_piece(other)
    merged = state.without_tail(1000.9).with_piece(both)
    part = merged.without_tail(1100).with_part(Part(etag=""), 9)

    assert (8, (one, other), ()) == (state.offset, state.pieces, state.superseded)
    assert (8, (both,)) == (merged.offset, merged.pieces)
    assert (9, (), [("1", 1000), ("2", 1000), ("12", 1100)]) == (part.offset, part.pieces, told(part))
    assert () == part.outdated(1000 + KEPT - 0.1)
    assert ("1", "2") == part.outdated(1000 + KEPT)
    assert [("12", 1100)] == told(part.without(["1", "2"]))


def test_most_that_is_remembered() -> None:
    """Of very many superseded objects the oldest are outdated before their time."""
    state = PartState(plan=PartPlan(first=9, doubles_every=0, most=9)).superseding(map(str, range(MOST_KEPT + 2)), 1000)

    assert ("0", "1") == state.outdated(1000)


def test_what_is_spare() -> None:
    """Published content makes its pieces spare, and all that was superseded; not while parts were moved lately."""
    state = PartState(plan=PartPlan(first=9, doubles_every=0, most=9), name="-b").with_piece(Piece(name="2", size=1, etag=""))
    moved = state.superseding(["1"], 900).superseding(["-a"], 1000)

    assert ("2", "1") == state.superseding(["1"], 1000).spare(1000)
    assert () == moved.spare(1000 + KEPT - 1)
    assert ("2", "1", "-a") == moved.spare(1000 + KEPT)


def told(state: PartState) -> list[tuple[str, int]]:
    """Return what is remembered as superseded."""
    return [(each.name, each.at) for each in state.superseded]


def test_the_last_part_may_be_short() -> None:
    """A last part of any size ends the content; one of full size is a part like others."""
    plan = PartPlan(first=9, doubles_every=0, most=9)
    state = PartState(plan=plan, upload="u").with_part(Part(etag=""), 9)

    assert (18, 0) == (state.with_part(Part(etag=""), 9).offset, state.with_part(Part(etag=""), 9).short)
    assert (13, 4) == (state.with_part(Part(etag=""), 4).offset, state.with_part(Part(etag=""), 4).short)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "[1,2,3,4,5,6,7]",
        '[[1,2],[0,"","",0],"","",0,[],[]]',
        '[[1,2,3],[0,"","",0],[1,2],"AAAA",0,[],[]]',
        '[[1,2,3],[0,"","",0],"","AAAA",0,[],[]]',
        '[[1,2,3],[0,"","",0],"","",0,[1],[]]',
        '[[1,2,3],[0,"","",0],"","",0,[],[1]]',
    ],
)
def test_garbage(text: str) -> None:
    """What was not written by this is told to be corrupted."""
    with pytest.raises(Corrupted):
        PartState.from_parts(Parts(text))
