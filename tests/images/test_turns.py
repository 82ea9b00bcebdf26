"""
Who is next when many wait.
"""

from __future__ import annotations

import asyncio
from collections import deque

import pytest

from holdfast.service.images.errors import ImagesBusy
from holdfast.service.images.turns import Claimant, ImageTurns

KELP, WRACK, OTHER = Claimant("1", "kelp"), Claimant("1", "wrack"), Claimant("2", "kelp")

pytestmark = pytest.mark.timeout(20)


class Line:
    """Those who wait for a turn, by name, in the order in which they got it."""

    def __init__(self, most: int = 1) -> None:
        self.turns = ImageTurns(most, each=100)
        self.served: list[str] = []
        self.having: deque[Claimant] = deque()
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def join(self, name: str, by: Claimant) -> None:
        """Wait, in a task."""

        async def waits() -> None:
            await self.turns.wait(by)
            self.served.append(name)
            self.having.append(by)

        self.turns.claim(by)
        self.tasks[name] = asyncio.create_task(waits())
        await asyncio.sleep(0)

    async def end(self, times: int) -> None:
        """End turn after turn, the oldest first."""
        for _ in range(times):
            self.turns.end(self.having.popleft())
            await asyncio.sleep(0)


async def test_first_come_first_served() -> None:
    """Of one claimant, images go in their order."""
    line = Line()
    for at in range(4):
        await line.join(str(at), KELP)
    await line.end(3)

    assert ["0", "1", "2", "3"] == line.served


async def test_fair() -> None:
    """Who sends fifty images holds up neither others of the tenant nor other tenants."""
    line = Line()
    for at in range(50):
        await line.join(f"kelp {at}", KELP)
    await line.join("wrack 0", WRACK)
    await line.join("wrack 1", WRACK)
    for at in range(3):
        await line.join(f"other {at}", OTHER)
    await line.end(54)

    assert ["kelp 0", "kelp 1", "other 0", "wrack 0", "other 1", "kelp 2", "other 2", "wrack 1"] == line.served[:8]
    assert [f"kelp {at}" for at in range(3, 50)] == line.served[8:]


async def test_who_leaves() -> None:
    """Who leaves is passed over, and a turn that came at that very moment goes to the next."""
    line = Line()
    for name in ("first", "second", "third", "fourth"):
        await line.join(name, KELP)
    line.tasks["second"].cancel()
    await asyncio.sleep(0)
    line.turns.end(line.having.popleft())
    line.tasks["third"].cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert ["first", "fourth"] == line.served
    await line.end(1)
    await line.join("fifth", WRACK)
    assert "fifth" == line.served[-1]


async def test_bound() -> None:
    """One claimant may have so many, and others as many again."""
    turns = ImageTurns(1, each=2)
    turns.claim(KELP)
    turns.claim(KELP)
    with pytest.raises(ImagesBusy):
        turns.claim(KELP)
    turns.claim(WRACK)
    turns.leave(KELP)
    turns.claim(KELP)


async def test_one_turn_is_left_for_others() -> None:
    """Of three turns one claimant has two, however long they take; the third is for others, also when they come later."""
    line = Line(3)
    for at in range(5):
        await line.join(f"kelp {at}", KELP)
    assert ["kelp 0", "kelp 1"] == line.served

    await line.join("wrack 0", WRACK)
    assert "wrack 0" == line.served[-1]
    await line.join("wrack 1", WRACK)
    await line.join("other 0", OTHER)
    await line.end(1)  # of kelp, which may have one again, and was first
    assert "kelp 2" == line.served[-1]
    await line.end(2)  # of kelp, and of wrack
    assert ["other 0", "wrack 1"] == line.served[-2:]


async def test_alone() -> None:
    """Without accounts, who is the only one has every turn, and leaves one of them once there are others."""
    line, anybody, others = Line(2), Claimant("1"), Claimant("2")
    for at in range(3):
        await line.join(f"anybody {at}", anybody)
    assert ["anybody 0", "anybody 1"] == line.served

    await line.join("others 0", others)
    await line.end(2)
    assert ["anybody 0", "anybody 1", "others 0", "anybody 2"] == line.served
    await line.join("anybody 3", anybody)
    assert "anybody 2" == line.served[-1]
