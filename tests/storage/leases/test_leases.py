"""
What every `holdfast.storage.ports.Leases` promises.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence

import pytest

from holdfast.storage.errors import LeaseLost
from holdfast.storage.keys import new_key
from holdfast.storage.ports.leases import Lease
from tests.storage.backends import leased_on_every_topology
from tests.storage.leases.claimants import LONG, REF, SHORT, Claimant, Doors, held

# Who waits for somebody that never comes fails soon.
pytestmark = pytest.mark.timeout(60)


async def test_a_free_lease_is_taken_at_once(doors: Doors, claimants: Sequence[Claimant]) -> None:
    """A lease that nobody has is taken, held and given back, and nobody is told to let go."""
    before = await held(doors)
    lease = await claimants[0].acquire()
    during = await held(doors)
    await claimants[0].release(lease)

    assert (REF, False) == (lease.ref, lease.forced)
    assert ({False}, {True}, {False}) == (before, during, await held(doors))
    assert 0 == claimants[0].told


async def test_a_newcomer_waits_until_the_holder_lets_go(claimants: Sequence[Claimant]) -> None:
    """The holder is told at once; the newcomer has the lease when the holder let go, and not before."""
    holder, newcomer, *_ = claimants
    first = await holder.acquire()
    second = newcomer.acquiring()
    await holder.until_asked()
    await asyncio.sleep(SHORT)
    was_early = second.done()
    await holder.release(first)
    lease = await second

    assert not was_early
    assert not lease.forced
    assert (1, 0) == (holder.told, newcomer.told)


async def test_a_holder_is_told_once(claimants: Sequence[Claimant]) -> None:
    """However long the newcomer waits, and however many come, a holder is told once."""
    holder, *newcomers = claimants
    first = await holder.acquire()
    waiting = [newcomer.acquiring() for newcomer in newcomers]
    async with asyncio.timeout(LONG):
        while sum(newcomer.told for newcomer in newcomers) < 2:  # the last of them is there
            await asyncio.sleep(SHORT)
    await asyncio.sleep(2 * SHORT)
    await holder.release(first)
    results = await asyncio.gather(*waiting, return_exceptions=True)

    assert 1 == holder.told
    assert 1 == sum(isinstance(result, Lease) for result in results)
    assert 2 == sum(isinstance(result, LeaseLost) for result in results)


@leased_on_every_topology
async def test_eviction_is_pushed(claimants: Sequence[Claimant]) -> None:
    """From asking to having takes a small part of what polling would take; the quickest counts, for machines are noisy."""
    holder, newcomer, *_ = claimants
    taken = []
    for _ in range(5):
        first = await holder.acquire()
        begun = time.monotonic()
        second = newcomer.acquiring()
        await holder.until_asked()
        await holder.release(first)
        lease = await second
        taken.append(time.monotonic() - begun)
        await newcomer.release(lease)
        holder.asked.clear()

    assert min(taken) < 0.3


@leased_on_every_topology
async def test_a_holder_that_does_not_let_go_is_passed_over(claimants: Sequence[Claimant]) -> None:
    """After its wait the newcomer has the lease, marked as forced; the late release of the old one changes nothing."""
    holder, newcomer, *_ = claimants
    first = await holder.acquire()
    begun = time.monotonic()
    second = await newcomer.acquire(SHORT)
    waited = time.monotonic() - begun
    await holder.release(first)
    third = claimants[2].acquiring()
    await newcomer.until_asked()
    await newcomer.release(second)

    assert second.forced
    assert SHORT <= waited < LONG
    assert not (await third).forced


async def test_of_three_the_last_has_it(claimants: Sequence[Claimant]) -> None:
    """Who waits and is asked itself gives up; the last comes right after the first."""
    first, middle, last, _ = claimants
    lease = await first.acquire()
    middles = middle.acquiring()
    await first.until_asked()
    lasts = last.acquiring()
    await middle.until_asked()
    await first.release(lease)

    with pytest.raises(LeaseLost):
        await middles
    assert not (await lasts).forced
    assert (1, 1, 0) == (first.told, middle.told, last.told)


async def test_of_three_the_last_hears_of_a_sleeper(claimants: Sequence[Claimant]) -> None:
    """When the first never lets go, the lease of the last is forced, though the middle one gave up in good order."""
    first, middle, last, _ = claimants
    await first.acquire()
    middles = middle.acquiring(2 * SHORT)
    await first.until_asked()
    lasts = last.acquiring()
    await middle.until_asked()

    with pytest.raises(LeaseLost):
        await middles
    assert (await lasts).forced


async def test_a_forced_lease_that_was_fenced_ends_the_worry(claimants: Sequence[Claimant]) -> None:
    """Once the facts were fenced, the next lease is like any other."""
    sleeper, second, third, _ = claimants
    await sleeper.acquire()
    await second.release(await second.acquire(SHORT))

    assert not (await third.acquire()).forced


async def test_a_forced_lease_that_was_not_fenced_passes_it_on(claimants: Sequence[Claimant]) -> None:
    """As long as nobody fenced the facts, every next lease is forced, and taken at once."""
    sleeper, *others = claimants
    await sleeper.acquire()
    forced = []
    for other in others:
        lease = await other.acquire(SHORT)
        forced.append(lease.forced)
        await other.release(lease, fenced=other is others[1])

    assert [True, True, False] == forced


async def test_nobody_is_told_after_letting_go(doors: Doors, claimants: Sequence[Claimant]) -> None:
    """Who has let go is not asked again; but as long as nobody fenced the facts, the lease counts as held."""
    sleeper, second, third, _ = claimants
    await sleeper.acquire()
    await second.release(await second.acquire(SHORT), fenced=False)
    after = await held(doors)
    await third.acquire()

    assert 0 == second.told
    assert {True} == after


async def test_a_lease_is_released_twice(claimants: Sequence[Claimant]) -> None:
    """Letting go of what was let go, or lost, is no error and disturbs nobody."""
    holder, newcomer, other, _ = claimants
    first = await holder.acquire()
    await holder.release(first)
    second = await newcomer.acquire()
    await holder.release(first)
    third = other.acquiring()
    await newcomer.until_asked()
    await holder.release(first)
    was_early = third.done()
    await newcomer.release(second)
    await third

    assert not was_early


async def test_a_cancelled_claim_is_in_nobodys_way(doors: Doors, claimants: Sequence[Claimant]) -> None:
    """When a newcomer is cancelled while it waits, the one after it has the lease as soon as the holder lets go."""
    holder, cancelled, newcomer, _ = claimants
    first = await holder.acquire()
    claim = cancelled.acquiring()
    await holder.until_asked()
    claim.cancel()
    second = newcomer.acquiring()
    await asyncio.sleep(0)
    await holder.release(first)
    with pytest.raises(asyncio.CancelledError):
        await claim
    lease = await second
    await newcomer.release(lease)

    assert not lease.forced
    assert {False} == await held(doors)


async def test_a_cancelled_claim_does_not_hide_a_sleeper(claimants: Sequence[Claimant]) -> None:
    """When a newcomer is cancelled while it waits, the one after it still hears of a holder that never let go."""
    holder, cancelled, newcomer, _ = claimants
    await holder.acquire()
    claim = cancelled.acquiring(SHORT)
    await holder.until_asked()
    claim.cancel()
    with pytest.raises(asyncio.CancelledError):
        await claim

    assert (await newcomer.acquire(SHORT)).forced


@leased_on_every_topology
async def test_epochs_grow(doors: Doors) -> None:
    """Every lease of a key has a higher epoch than those before it, by whichever door it was taken."""
    epochs = []
    for number in range(10):
        claimant = Claimant(doors[number % 2])
        lease = await claimant.acquire()
        epochs.append(lease.epoch)
        await claimant.release(lease)

    assert sorted(set(epochs)) == epochs


async def test_keys_do_not_disturb_each_other(doors: Doors) -> None:
    """Whoever has one upload is not asked for another."""
    claimants = [Claimant(doors[number % 2], new_key()) for number in range(30)]
    leases = await asyncio.gather(*(claimant.acquire() for claimant in claimants))

    assert [False] * 30 == [lease.forced for lease in leases]
    assert [0] * 30 == [claimant.told for claimant in claimants]


async def test_two_never_have_it_at_once(doors: Doors) -> None:
    """However many come, at whatever moment: as long as all let go when they are asked, no two have the lease at once."""
    chance = random.Random(20_24)
    inside: list[int] = []
    overlaps: list[int] = []
    forced: list[int] = []

    async def come(number: int) -> bool:
        claimant = Claimant(doors[number % 2])
        await asyncio.sleep(chance.random() / 5)
        try:
            lease = await claimant.acquire()
        except LeaseLost:
            return False
        overlaps.extend(inside)
        forced.extend([number] if lease.forced else [])
        inside.append(number)
        await asyncio.wait([asyncio.create_task(claimant.asked.wait())], timeout=chance.random() / 50)
        inside.remove(number)
        await claimant.release(lease)
        return True

    results = await asyncio.gather(*(come(number) for number in range(50)))

    assert any(results)
    assert ([], []) == (overlaps, forced)
    assert {False} == await held(doors)


async def test_a_lease_given_back_in_time_is_not_forced(doors: Doors, claimants: Sequence[Claimant]) -> None:
    """A newcomer that comes in the very moment in which the holder lets go has an ordinary lease."""
    holder, newcomer, *_ = claimants
    forced = []
    for _ in range(100):
        first = await holder.acquire()
        second, _ = await asyncio.gather(newcomer.acquire(), holder.release(first))
        forced.append(second.forced)
        await newcomer.release(second)

    assert [False] * 100 == forced


@leased_on_every_topology
async def test_ping(doors: Doors) -> None:
    """Leases that can be taken say so by returning."""
    for leases in doors:
        await leases.ping()
