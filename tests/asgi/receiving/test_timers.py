"""
The clock that looks at content which waits.
"""

from __future__ import annotations

import asyncio

import pytest

from holdfast.service.asgi.receiving.timers import SPOKES, ReceiveTimers


class Counter:
    """
    Something that counts how often it is looked at; *last* is when it wants no more.
    """

    def __init__(self, timers: ReceiveTimers, last: int = 1000) -> None:
        self.looks = 0
        self._timers = timers
        self._last = last

    def check(self) -> None:
        self.looks += 1
        if self.looks == self._last:
            self._timers.unwatch(self)


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> ReceiveTimers:
    """Return one whose looks come fast."""
    monkeypatch.setattr(ReceiveTimers, "check_every", 0.05)
    return ReceiveTimers(idle_timeout=60)


async def test_everybody_is_looked_at_by_turns(timers: ReceiveTimers) -> None:
    """Whoever is watched is looked at once in a turn, not all at the same time, and never before a whole turn has passed."""
    counters = []
    for _ in range(SPOKES):
        counter = Counter(timers)
        timers.watch(counter)
        counters.append(counter)
        await asyncio.sleep(0.006)
    early = [counter.looks for counter in counters[-3:]]
    await asyncio.sleep(0.5)
    for counter in counters:
        timers.unwatch(counter)

    assert [0, 0, 0] == early
    assert all(3 <= counter.looks <= 12 for counter in counters)
    assert max(counter.looks for counter in counters) - min(counter.looks for counter in counters) <= 2


async def test_nobody_is_looked_at_afterwards(timers: ReceiveTimers) -> None:
    """Who wants no more looks gets none, also who says so in the middle of one; saying it twice does no harm."""
    once, never = Counter(timers, last=1), Counter(timers)
    timers.watch(never)
    timers.watch(once)
    await asyncio.sleep(0.02)
    timers.watch(once)
    timers.unwatch(never)
    timers.unwatch(never)
    await asyncio.sleep(0.2)

    assert (1, 0) == (once.looks, never.looks)


async def test_the_clock_starts_again(timers: ReceiveTimers) -> None:
    """After a time without anybody the clock runs again for the next."""
    first, second = Counter(timers, last=1), Counter(timers)
    timers.watch(first)
    await asyncio.sleep(0.2)
    timers.watch(second)
    await asyncio.sleep(0.2)
    timers.unwatch(second)

    assert second.looks >= 1
