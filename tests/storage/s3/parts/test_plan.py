"""
The arithmetic of parts.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.storage.s3.parts.plan import LARGEST, SMALLEST, GiB, MiB, PartLimits, PartPlan, TooManyParts, plan_parts

TiB = 1024 * GiB

plans = st.builds(
    PartPlan,
    first=st.integers(SMALLEST, 64 * MiB),
    doubles_every=st.sampled_from([0, 1, 3, 100, 1000]),
    most=st.integers(1, 10_000),
).filter(lambda plan: not plan.doubles_every or plan.most <= 10 * plan.doubles_every)


@pytest.mark.parametrize(
    ("length", "limits", "first", "doubles_every"),
    [
        (0, PartLimits(), 8 * MiB, 0),
        (1 * GiB, PartLimits(), 8 * MiB, 0),
        (9990 * 8 * MiB, PartLimits(), 8 * MiB, 0),
        (9990 * 8 * MiB + 1, PartLimits(), 9 * MiB, 0),
        (5 * TiB, PartLimits(), 525 * MiB, 0),
        (1 * TiB, PartLimits(most=1000), 1060 * MiB, 0),
        (1, PartLimits(size=1), 5 * MiB, 0),
        (None, PartLimits(), 8 * MiB, 1000),
        (None, PartLimits(most=1000), 8 * MiB, 100),
        (None, PartLimits(alike=True), 8 * MiB, 0),
        (None, PartLimits(size=64 * MiB), 64 * MiB, 1429),
        (None, PartLimits(size=4 * GiB), 4 * GiB, 0),
        (None, PartLimits(size=6 * GiB), 5 * GiB, 0),
    ],
)
def test_plan(length: int | None, limits: PartLimits, first: int, doubles_every: int) -> None:
    """Parts are as large as configured, or as large as they have to be, in whole MiB; of an unknown length they double."""
    plan = plan_parts(length, limits)

    assert (first, doubles_every, limits.most) == (plan.first, plan.doubles_every, plan.most)
    assert plan.capacity >= (length or 0)


def test_unknown_lengths_have_room() -> None:
    """Parts that double hold 8 TiB and a part of them never more than S3 takes."""
    plan = plan_parts(None, PartLimits())

    assert 7.8 * TiB < plan.capacity
    assert LARGEST >= plan.size_of(plan.most)


@pytest.mark.parametrize("length", [50 * 1024 * TiB, 10**20])
def test_too_long(length: int) -> None:
    """What does not fit into the largest parts is refused when it begins."""
    with pytest.raises(TooManyParts):
        plan_parts(length, PartLimits())


@given(plans, st.data())
def test_numbers_and_offsets(plan: PartPlan, data: st.DataObject) -> None:
    """Parts follow each other without a hole, and each offset belongs to the part that holds it."""
    number = data.draw(st.integers(1, plan.most))
    start, size = plan.start_of(number), plan.size_of(number)

    assert (start == 0) == (number == 1)
    assert start + size == plan.start_of(number + 1)
    for offset in (start, start + size - 1, start + data.draw(st.integers(0, size - 1))):
        assert number == plan.number_at(offset)


@given(plans)
def test_the_end(plan: PartPlan) -> None:
    """Behind the last part there is nothing."""
    assert plan.most == plan.number_at(plan.capacity - 1)
    with pytest.raises(TooManyParts):
        plan.number_at(plan.capacity)
    for number in (0, plan.most + 1):
        with pytest.raises(TooManyParts):
            plan.size_of(number)
