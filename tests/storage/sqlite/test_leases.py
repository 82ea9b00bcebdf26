"""
What leases in a folder promise between processes: eviction, the dead, the frozen, and what they leave behind.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.storage.errors import LeaseLost, Unavailable
from holdfast.storage.sqlite.leases import SqliteLeases
from tests.storage.leases.claimants import KEY, LONG, REF, holding, timed
from tests.storage.processes import worker

# Who waits for somebody that never comes fails soon.
pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return where the leases are kept."""
    return tmp_path / "leases"


@pytest.fixture
async def leases(folder: Path) -> AsyncIterator[SqliteLeases]:
    """Return the leases of this process."""
    leases = SqliteLeases(str(folder))
    yield leases
    await leases.close()


def behind(folder: Path) -> str | None:
    """Return whom the claimant that stands in the row is behind."""
    with closing(sqlite3.connect(folder / "leases.sqlite")) as connection:
        found: str | None = connection.execute("SELECT behind FROM leases WHERE key = ?", (KEY,)).fetchone()[0]
    return found


@pytest.mark.alone("it measures how soon another process answers")
async def test_a_holder_in_another_process_is_evicted(folder: Path, leases: SqliteLeases) -> None:
    """A newcomer has the lease of another process within 300 ms, when that one lets go at once."""
    async with worker("hold", folder, KEY, "polite") as holder:
        epoch = await holding(holder)
        was_held = await leases.held(REF)
        forced, took, newer = await timed(leases, LONG)

        assert ["asked", "released"] == [await holder.line(), await holder.line()]
    assert was_held
    assert not forced
    assert took < 0.3
    assert newer > epoch


async def test_a_newcomer_in_another_process_evicts(folder: Path, leases: SqliteLeases) -> None:
    """A holder of this process is told when another process asks, and that one has the lease when this one lets go."""
    asked = asyncio.Event()
    lease = await leases.acquire(REF, asked.set, LONG)
    async with worker("hold", folder, KEY, "polite") as newcomer:
        async with asyncio.timeout(LONG):
            await asked.wait()
        await leases.release(lease)

        assert await holding(newcomer) > lease.epoch


@pytest.mark.alone("it measures how soon another process answers")
async def test_a_killed_holder_is_passed_over_at_once(folder: Path, leases: SqliteLeases) -> None:
    """Nobody waits for a process that is gone."""
    async with worker("hold", folder, KEY, "polite") as holder:
        await holding(holder)
        await holder.kill()
        _, took, _ = await timed(leases, LONG)

    assert took < 0.3


async def test_a_killed_holder_holds_nothing(folder: Path, leases: SqliteLeases) -> None:
    """The lease of a process that is gone is held by nobody, so that a sweeper sees to what it left."""
    async with worker("hold", folder, KEY, "polite") as holder:
        await holding(holder)
        await holder.kill()

        assert not await leases.held(REF)


@pytest.mark.alone("it measures how soon another process answers")
async def test_a_killed_claimant_holds_nothing_up(folder: Path, leases: SqliteLeases) -> None:
    """When a process is killed while it waits, the next one passes it over at once; the holder before it may still act."""
    asked = asyncio.Event()
    lease = await leases.acquire(REF, asked.set, LONG)
    async with worker("hold", folder, KEY, "polite") as claimant:
        async with asyncio.timeout(LONG):
            await asked.wait()
        await claimant.kill()
    forced, took, _ = await timed(leases, LONG)
    await leases.release(lease)

    assert forced
    assert took < 0.3


@pytest.mark.alone("it measures how soon another process answers")
async def test_a_frozen_holder_is_passed_over(folder: Path, leases: SqliteLeases) -> None:
    """A frozen process is waited for, and then passed over; when it wakes up it is told, and its release takes nothing away."""
    async with worker("hold", folder, KEY, "polite") as holder:
        await holding(holder)
        holder.freeze()
        forced, took, _ = await timed(leases, 0.3)
        holder.thaw()

        assert ["asked", "released"] == [await holder.line(), await holder.line()]
    assert forced
    assert 0.3 <= took < 1
    assert await leases.held(REF)


async def test_a_busy_holder_in_another_process_is_waited_for(folder: Path, leases: SqliteLeases) -> None:
    """A process that answers that it is at work is not passed over in the normal time; one that freezes at its work is."""
    async with worker("hold", folder, KEY, "busy") as holder:
        await holding(holder)
        newcomer = asyncio.create_task(timed(leases, 0.3))
        await asyncio.wait([newcomer], timeout=1)
        was_early = newcomer.done()
        holder.freeze()
        forced, took, _ = await newcomer
        holder.thaw()

    assert not was_early
    assert forced
    assert 1.2 <= took < 3


async def test_a_busy_holder_that_is_killed_is_passed_over_at_once(folder: Path, leases: SqliteLeases) -> None:
    """Nobody waits for work that ended with its process."""
    async with worker("hold", folder, KEY, "busy") as holder:
        await holding(holder)
        newcomer = asyncio.create_task(timed(leases, LONG))
        await asyncio.wait([newcomer], timeout=0.5)
        was_early = newcomer.done()
        await holder.kill()
        forced, took, _ = await newcomer

    assert (False, False) == (was_early, forced)
    assert took < 2


@pytest.mark.alone("it measures how soon another process answers")
async def test_a_holder_whose_socket_is_missing_is_passed_over(folder: Path, leases: SqliteLeases) -> None:
    """
    Who cannot be asked for its lease may be alive all the same: it counts as a holder, the next lease is forced, and taken at
    once.
    """
    before = set(folder.glob("*.socket"))
    async with worker("hold", folder, KEY, "polite") as holder:
        await holding(holder)
        (removed,) = set(folder.glob("*.socket")) - before
        removed.unlink()
        was_held = await leases.held(REF)
        forced, took, _ = await timed(leases, LONG)

    assert (True, True) == (was_held, forced)
    assert took < 0.3


async def test_a_missing_socket_is_noticed(folder: Path, leases: SqliteLeases) -> None:
    """A process that nobody can ask any more does not say that it can take leases."""
    await leases.ping()
    for socket in folder.glob("*.socket"):
        socket.unlink()

    with pytest.raises(Unavailable):
        await leases.ping()


async def test_sockets_of_dead_processes_are_removed(folder: Path) -> None:
    """Who starts tidies up after those that were killed, and leaves the living alone."""
    async with worker("hold", folder, KEY, "polite") as alive, worker("hold", folder, "other56789", "polite") as dead:
        await holding(alive)
        await holding(dead)
        before = set(folder.glob("*.socket"))
        await dead.kill()
        leases = SqliteLeases(str(folder))
        after = set(folder.glob("*.socket"))
        await leases.acquire(REF, lambda: None, LONG)

        assert ["asked", "released"] == [await alive.line(), await alive.line()]
        await leases.close()
    assert (2, 2, 1) == (len(before), len(after), len(before & after))


async def test_what_a_dead_claimant_left_behind_a_frozen_holder(folder: Path, leases: SqliteLeases) -> None:
    """
    Who starts keeps the row of a dead claimant that stood behind somebody who may only be asleep: that one counts as a holder,
    and the next lease is forced.
    """
    async with worker("hold", folder, KEY, "polite") as holder:
        await holding(holder)
        holder.freeze()
        async with worker("hold", folder, KEY, "polite") as claimant, asyncio.timeout(LONG):
            while behind(folder) is None:
                await asyncio.sleep(0.01)
            await claimant.kill()
        was_held = await leases.held(REF)
        other = SqliteLeases(str(folder))
        forced, _, _ = await timed(other, 0.3)
        await other.close()
        holder.thaw()

    assert (True, True) == (was_held, forced)


async def test_what_a_claimant_that_gave_up_leaves(folder: Path, leases: SqliteLeases, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits in vain puts back who stood there, behind a frozen holder: when that one dies, the next lease is forced."""
    monkeypatch.setattr("holdfast.storage.leases.claims.PATIENCE", 0.6)
    async with worker("hold", folder, KEY, "polite") as holder:
        await holding(holder)
        holder.freeze()
        async with worker("hold", folder, KEY, "polite") as claimant, asyncio.timeout(LONG):
            while (before := behind(folder)) is None:
                await asyncio.sleep(0.01)
            with pytest.raises(LeaseLost):
                await timed(leases, 0.3)
            after = behind(folder)
            await claimant.kill()
        forced, _, _ = await timed(leases, 0.3)
        holder.thaw()

    assert before == after
    assert forced


async def test_a_holder_whose_queue_is_full_is_alive(folder: Path, leases: SqliteLeases) -> None:
    """Who has more messages than it can take is not dead: it holds its lease, and is waited for before it is passed over."""
    async with worker("hold", folder, KEY, "polite") as holder:
        await holding(holder)
        holder.freeze()
        for _ in range(1000):
            was_held = await leases.held(REF)
        forced, took, _ = await timed(leases, 0.3)
    assert (True, True) == (was_held, forced)
    assert took >= 0.3


async def test_nothing_is_left_behind(folder: Path) -> None:
    """Leases that are closed leave no socket."""
    leases = SqliteLeases(str(folder))
    await leases.release(await leases.acquire(REF, lambda: None, LONG))
    await leases.close()

    assert [] == list(folder.glob("*.socket"))


@pytest.mark.alone("it measures how soon another process answers")
async def test_a_long_path(tmp_path: Path) -> None:
    """A data folder may lie deeper than the 107 bytes that the address of a socket has room for."""
    folder = tmp_path / ("hold" * 30) / ("fast" * 30)
    leases = SqliteLeases(str(folder))
    async with worker("hold", folder, KEY, "polite") as holder:
        await holding(holder)
        forced, took, _ = await timed(leases, LONG)
    await leases.close()

    assert not forced
    assert took < 0.3
