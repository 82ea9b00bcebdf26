"""
Who is next when many wait.
"""

from __future__ import annotations

import asyncio

import pytest

from service.images.errors import Busy
from service.images.turns import Claimant, Turns

KELP, WRACK, OTHER = Claimant("1", "kelp"), Claimant("1", "wrack"), Claimant("2", "kelp")

pytestmark = pytest.mark.timeout(20)


class Line:
    """Those who wait for one turn, by name, in the order in which they got it."""

    def __init__(self) -> None:
        self.turns = Turns(1, each=100)
        self.served: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def join(self, name: str, by: Claimant) -> None:
        """Wait, in a task."""

        async def waits() -> None:
            await self.turns.wait(by)
            self.served.append(name)

        self.tasks[name] = asyncio.create_task(waits())
        await asyncio.sleep(0)

    async def end(self, times: int) -> None:
        """End turn after turn."""
        for _ in range(times):
            self.turns.end()
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
    line.turns.end()
    line.tasks["third"].cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert ["first", "fourth"] == line.served
    await line.end(1)
    await line.join("fifth", WRACK)
    assert "fifth" == line.served[-1]


async def test_bound() -> None:
    """One claimant may have so many, and others as many again."""
    turns = Turns(1, each=2)
    turns.claim(KELP)
    turns.claim(KELP)
    with pytest.raises(Busy):
        turns.claim(KELP)
    turns.claim(WRACK)
    turns.leave(KELP)
    turns.claim(KELP)
