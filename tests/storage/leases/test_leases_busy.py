"""
What every `holdfast.storage.ports.Leases` promises to a holder that is at work, and to those who wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from holdfast.storage import memory
from holdfast.storage.errors import LeaseLost
from holdfast.storage.leases import claims
from tests.storage.backends import leased_on_every_topology
from tests.storage.leases.claimants import SHORT, Claimant, Doors, held

# Who waits for somebody that never comes fails soon.
pytestmark = pytest.mark.timeout(60)

LITTLE_PATIENCE = 5 * SHORT


@pytest.fixture
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait for a busy holder as long as they do in earnest."""
    for backend in (memory, claims):
        monkeypatch.setattr(backend, "PATIENCE", LITTLE_PATIENCE)


@pytest.fixture
def busy(claimants: Sequence[Claimant]) -> Claimant:
    """Return the first of the claimants, who will answer that it is at work."""
    claimants[0].busy = True
    return claimants[0]


@pytest.mark.parametrize("wait", [2 * SHORT, SHORT])
async def test_a_busy_holder_is_waited_for(claimants: Sequence[Claimant], busy: Claimant, wait: float) -> None:
    """Who is at work is not passed over after the normal time; the newcomer has an ordinary lease when it lets go."""
    first = await busy.acquire()
    second = claimants[1].acquiring(wait)
    await asyncio.sleep(6 * SHORT)
    was_early = second.done()
    await busy.release(first)

    assert not was_early
    assert not (await second).forced
    assert 1 == busy.told


async def test_busy_is_said_anew_by_every_holder(claimants: Sequence[Claimant], busy: Claimant) -> None:
    """Who is not at work is passed over in the normal time, though the holder before it was waited for."""
    newcomer = claimants[1]
    first = await busy.acquire()
    second = newcomer.acquiring(SHORT)
    await asyncio.sleep(3 * SHORT)
    await busy.release(first)
    await second
    async with asyncio.timeout(10 * SHORT):
        third = await claimants[2].acquire(SHORT)

    assert third.forced


async def test_the_last_of_a_row_waits_for_a_busy_holder(claimants: Sequence[Claimant], busy: Claimant) -> None:
    """Who waits behind somebody who waits for a busy holder passes neither over."""
    _, middle, last, _ = claimants
    first = await busy.acquire()
    middles = middle.acquiring(SHORT)
    await busy.until_asked()
    lasts = last.acquiring(SHORT)
    await middle.until_asked()
    await asyncio.sleep(3 * SHORT)
    was_early = middles.done(), lasts.done()
    await busy.release(first)

    with pytest.raises(LeaseLost):
        await middles
    assert (False, False) == was_early
    assert not (await lasts).forced


@pytest.mark.usefixtures("_little_patience")
async def test_patience_has_an_end(doors: Doors, claimants: Sequence[Claimant], busy: Claimant) -> None:
    """A newcomer gives up on a holder that is at work for too long, and takes nothing from it: it goes on as if nobody came."""
    loop = asyncio.get_running_loop()
    first = await busy.acquire()
    begun = loop.time()
    with pytest.raises(LeaseLost):
        await claimants[1].acquire(SHORT)
    waited = loop.time() - begun
    during = await held(doors)
    third = claimants[2].acquiring(SHORT)
    await asyncio.sleep(2 * SHORT)
    was_early = third.done()
    await busy.release(first)

    assert LITTLE_PATIENCE <= waited < 4 * LITTLE_PATIENCE
    assert {True} == during
    assert not was_early
    assert not (await third).forced
    assert 1 == busy.told


@pytest.mark.usefixtures("_little_patience")
@leased_on_every_topology
async def test_nobody_holds_what_was_given_back_and_released(doors: Doors, claimants: Sequence[Claimant], busy: Claimant) -> None:
    """When the holder lets go that a newcomer had given up on, the lease is free, so that a sweeper sees to the upload."""
    first = await busy.acquire()
    with pytest.raises(LeaseLost):
        await claimants[1].acquire(SHORT)
    await busy.release(first)

    assert {False} == await held(doors)
