"""
What things are called in a Redis: names that do not meet, and texts that have the order of what they stand for.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.storage.errors import UnknownPosition
from holdfast.storage.records import ObjectRef, Ref, SlotRef, Tenant
from holdfast.storage.redis.names import RedisNames, behind_moment, moment, parse_place, parse_place_of_one
from tests.storage.backends import new_upload

times = st.floats(allow_nan=False)
texts = st.text(max_size=5) | st.sampled_from(["", ":", "{", "}", "{}", "%", "a:b", "a%3Ab", "\0", "ä"])
refs = st.one_of(
    st.builds(Ref, tenant=texts.map(Tenant), key=st.text(alphabet="ab", min_size=1, max_size=2)),
    st.builds(ObjectRef, tenant=texts.map(Tenant), kind=texts, id=texts),
    st.builds(SlotRef, tenant=texts.map(Tenant), kind=texts, id=texts, slot=texts),
)


@given(times, times)
def test_moments_have_the_order_of_times(one: float, other: float) -> None:
    """Texts of times are ordered as the times are; zero has no sign."""
    assert (one < other) == (moment(one) < moment(other))
    assert (one == other) == (moment(one) == moment(other))


@given(times, times)
def test_ranges_end_behind_their_time(now: float, expires_at: float) -> None:
    """What expires at a time, or before, is before the end of the range."""
    record = new_upload(expires_at=expires_at)

    assert (expires_at <= now) == (moment(expires_at) + record.key.encode() < behind_moment(now)[1:])


@given(refs, refs)
def test_names_do_not_meet(one: Ref | ObjectRef | SlotRef, other: Ref | ObjectRef | SlotRef) -> None:
    """Two things have two names, whatever the texts of others hold."""
    assert (one == other) == (RedisNames().record(one) == RedisNames().record(other))


@given(refs)
def test_the_slot_is_the_tenants(ref: Ref | ObjectRef | SlotRef) -> None:
    """What is between the first braces is never empty, for then Redis would take the whole name, and is the tenant's alone."""
    found = re.search(rb"\{(.*?)\}", RedisNames().record(ref))

    assert found is not None
    assert found.group(1)
    assert RedisNames().tenant(ref.tenant).encode() == b"holdfast:{" + found.group(1) + b"}:"


@pytest.mark.parametrize("prefix", ["a{b", "a}b", "ä"])
def test_a_prefix_that_cannot_be_one(prefix: str) -> None:
    """A prefix with braces would decide on the node of every key."""
    with pytest.raises(ValueError, match="prefix"):
        RedisNames(prefix)


@pytest.mark.parametrize(
    ("position", "place", "place_of_one"),
    [
        ("", "-", "-"),
        ("0-1", "(0-1", "(00000000000000000000-00000000000000000001"),
        ("1700000000000-12", "(1700000000000-12", "(00000001700000000000-00000000000000000012"),
        ("9223372036854775807-0", "(9223372036854775807-0", "(09223372036854775807-00000000000000000000"),
    ],
)
def test_positions(position: str, place: str, place_of_one: str) -> None:
    """A position becomes the beginning of a range, behind it."""
    assert (place, place_of_one) == (parse_place(position), parse_place_of_one(position))


@pytest.mark.parametrize(
    "position",
    ["x", "1", "-", "1-", "-1", "1-1-1", "1-1 ", " 1-1", "1-\u0661", "+", "$", "9223372036854775808-0", "1-" + "9" * 30],
)
def test_what_is_no_position(position: str) -> None:
    """What no page ended with is told from an old position."""
    for parse in (parse_place, parse_place_of_one):
        with pytest.raises(UnknownPosition):
            parse(position)
