"""
What a jump of the clock does: nothing, until the clock has proved itself.
"""

from __future__ import annotations

import asyncio
import logging

import pytest

from holdfast.service.core.commands import Completes
from holdfast.service.core.content.content import Stop
from holdfast.service.core.errors import UploadExpired
from holdfast.service.core.timekeeper import LONGEST_PATIENCE, TOLERANCE, Timekeeper
from holdfast.storage.errors import Unavailable
from holdfast.storage.memory import MemoryMetadataStore
from holdfast.storage.ports.notes import Notes
from holdfast.storage.records import State, UploadRecord
from tests.core.contents import FakeContent
from tests.core.situations import KELP, kelp_until, received
from tests.core.worlds import LIMITS, World
from tests.storage.backends import NOW

MINUTE, DAY = 60.0, 86400.0
PATIENCE = LIMITS.idle_expiry
AT_LENGTH = Completes.AT_LENGTH


class Machine:
    """A machine with a clock that can be set, and a monotonic one that cannot; each process of it begins with `start`."""

    def __init__(self, notes: Notes) -> None:
        self.now = NOW
        self.ticks = 50.0
        self._notes = notes

    def start(self, patience: float = PATIENCE) -> Timekeeper:
        """Return what a new process knows of the time."""
        return Timekeeper(self._notes, patience, clock=lambda: self.now, monotonic=lambda: self.ticks)

    def restart(self, *, off: float) -> Timekeeper:
        """Return what a process knows that begins after the machine was off for so long."""
        self.now += off
        self.ticks = 3.0
        return self.start()

    def run(self, seconds: float) -> None:
        """Let the time go on."""
        self.now += seconds
        self.ticks += seconds

    async def watch(self, keeper: Timekeeper, seconds: float) -> None:
        """Let the time go on, and sweeps observe it."""
        for _ in range(int(seconds / MINUTE)):
            self.run(MINUTE)
            await keeper.observe()


class FailingNotes(MemoryMetadataStore):
    """Notes that cannot be read or written."""

    async def note(self, name: str) -> str | None:
        raise Unavailable(f"{name} cannot be read")

    async def write_note(self, name: str, text: str) -> None:
        raise Unavailable(f"{name} = {text} cannot be written")


@pytest.fixture
def machine() -> Machine:
    """Return a machine whose notes are in memory."""
    return Machine(MemoryMetadataStore())


async def begun(machine: Machine) -> Timekeeper:
    """Return what a process knows that has run for an hour."""
    keeper = machine.start()
    await keeper.observe()
    await machine.watch(keeper, 60 * MINUTE)
    return keeper


async def test_a_clock_that_nobody_sets_is_believed(machine: Machine) -> None:
    """From the first moment on, and through restarts, both bounds are the clock."""
    keeper = await begun(machine)

    assert machine.now == keeper.at_least() == keeper.at_most()

    again = machine.restart(off=2 * MINUTE)
    await again.observe()

    assert machine.now == again.at_least() == again.at_most()


async def test_nothing_is_certain_at_first(machine: Machine) -> None:
    """A process that has not heard yet what the store knows takes nothing for expired."""
    keeper = machine.start()
    asking = asyncio.create_task(keeper.observe())
    first = keeper.at_least()
    await asyncio.sleep(0)

    assert machine.now == first  # nobody asks: there is no sweeper
    await asking
    assert machine.now == keeper.at_least()


async def test_a_store_that_fails(machine: Machine) -> None:
    """Without notes a process knows nothing at first, and later what its monotonic clock tells."""
    keeper = Machine(FailingNotes()).start()
    await keeper.observe()

    assert keeper.at_least() < 0


async def test_a_clock_is_watched_while_the_store_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that was set during an outage, and has run steadily since, is believed though the notes still cannot be had."""
    notes = MemoryMetadataStore()
    machine = Machine(notes)
    keeper = await begun(machine)
    monkeypatch.setattr(notes, "note", FailingNotes().note)
    machine.now += 9 * DAY
    await machine.watch(keeper, PATIENCE + 10 * MINUTE)

    assert machine.now == keeper.at_least() == keeper.at_most()


@pytest.mark.parametrize("jump", [9 * DAY, -9 * DAY])
async def test_a_jump_is_told_once_and_believed_at_last(machine: Machine, jump: float, caplog: pytest.LogCaptureFixture) -> None:
    """A jump moves one bound at once, and the other when the clock has run steadily; one line tells each."""
    keeper = await begun(machine)
    true = machine.now
    machine.now += jump

    assert (min(true, machine.now), max(true, machine.now)) == (keeper.at_least(), keeper.at_most())

    with caplog.at_level(logging.WARNING):
        await machine.watch(keeper, PATIENCE - 2 * MINUTE)

        assert abs(jump) == pytest.approx(keeper.at_most() - keeper.at_least())
        assert ["the clock is"] == [record.message[:12] for record in caplog.records]

        await machine.watch(keeper, 10 * MINUTE)

    assert machine.now == keeper.at_least() == keeper.at_most()
    assert ["the clock is", "the clock is"] == [record.message[:12] for record in caplog.records]
    assert "trusted again" in caplog.records[-1].message


async def test_a_jump_and_back(machine: Machine) -> None:
    """A clock that was wrong for an hour, and is right again, has moved nothing."""
    keeper = await begun(machine)
    machine.now += 9 * DAY
    await machine.watch(keeper, 10 * MINUTE)
    machine.now -= 9 * DAY
    await keeper.observe()

    assert machine.now == pytest.approx(keeper.at_least()) == pytest.approx(keeper.at_most())


async def test_a_clock_that_jumps_again_is_not_steady(machine: Machine) -> None:
    """A clock that is set again and again is in doubt until it runs steadily."""
    keeper = await begun(machine)
    true = machine.now
    for _ in range(5):
        machine.now += DAY
        await machine.watch(keeper, PATIENCE - 2 * MINUTE)
        true += (PATIENCE - 2 * MINUTE) // MINUTE * MINUTE

    assert true == pytest.approx(keeper.at_least())


async def test_a_clock_that_runs_too_fast(machine: Machine) -> None:
    """What is certain advances hardly faster than the monotonic clock, however long a clock gains a little."""
    keeper = await begun(machine)
    before, ticks = keeper.at_least(), machine.ticks
    for _ in range(24 * 60):
        machine.now += 2 * MINUTE
        await machine.watch(keeper, MINUTE)

    assert keeper.at_least() - before < 1.2 * (machine.ticks - ticks)


async def test_a_service_that_was_off(machine: Machine) -> None:
    """After nine days off nothing expires at once; a restart meanwhile does not begin to wait anew."""
    keeper = await begun(machine)
    known = keeper.at_least()
    keeper = machine.restart(off=9 * DAY)
    await keeper.observe()

    assert known == pytest.approx(keeper.at_least())

    await machine.watch(keeper, PATIENCE / 2)
    keeper = machine.restart(off=MINUTE)
    await machine.watch(keeper, PATIENCE / 2 + 5 * MINUTE)

    assert machine.now == keeper.at_least()


async def test_patience_is_bounded(machine: Machine) -> None:
    """However long idle uploads live, a clock that runs steadily is believed after a day."""
    keeper = machine.start(patience=365 * DAY)
    await keeper.observe()
    machine.now += 9 * DAY
    await machine.watch(keeper, LONGEST_PATIENCE + 5 * MINUTE)

    assert machine.now == keeper.at_least()


async def test_a_process_with_another_clock_is_in_doubt() -> None:
    """A machine whose clock is nine days ahead of that of the others deletes nothing early, however long it runs."""
    notes = MemoryMetadataStore()
    right, wrong = Machine(notes), Machine(notes)
    wrong.now += 9 * DAY
    keepers = right.start(), wrong.start()
    for _ in range(int(2 * PATIENCE / MINUTE)):
        for machine, keeper in zip((right, wrong), keepers, strict=True):
            machine.run(MINUTE)
            await keeper.observe()

    assert right.now == pytest.approx(keepers[0].at_least(), abs=TOLERANCE)
    assert right.now == pytest.approx(keepers[1].at_least(), abs=TOLERANCE)


# What that means for uploads.


async def machine_of(world: World) -> tuple[Machine, Timekeeper]:
    """Return a machine with the clock of a world, and let it say what has expired there."""
    machine = Machine(world.metadata)
    keeper = machine.start()
    world.clock, world.times = (lambda: machine.now), keeper  # type: ignore[assignment]
    await keeper.observe()
    return machine, keeper


async def abandoned(world: World) -> UploadRecord:
    """Return an upload that waits for its client."""
    return (await world.create(FakeContent(KELP[:5], length=len(KELP), cut=Stop.IDLE), AT_LENGTH, len(KELP))).record


async def test_a_jump_deletes_nothing(world: World) -> None:
    """Nine days forward, an open upload survives the sweep, tells its offset, and can be finished."""
    machine, keeper = await machine_of(world)
    record, other = await abandoned(world), await abandoned(world)
    machine.now += 9 * DAY
    await world.uploads().sweep()
    await machine.watch(keeper, 5 * MINUTE)
    await world.uploads().sweep()

    assert (State.OPEN, 5) == await world.facts(record)
    assert 5 == (await world.offset(record)).offset
    assert State.COMPLETE == (await world.append(record, FakeContent(KELP[5:]))).record.state

    await machine.watch(keeper, PATIENCE)
    await world.uploads().sweep()

    assert State.EXPIRED == (await world.stored(other)).state


async def test_what_was_made_while_the_clock_was_behind(world: World) -> None:
    """An upload that begins, and goes on, while the clock is nine days behind does not expire when it is put right."""
    machine, keeper = await machine_of(world)
    machine.now -= 9 * DAY
    record = await abandoned(world)
    machine.now += 9 * DAY
    await keeper.observe()
    await world.uploads().sweep()

    assert 5 == (await world.offset(record)).offset
    assert (State.OPEN, 5) == await world.facts(record)


async def test_a_jump_frees_no_idempotency_key(world: World) -> None:
    """A creation that is repeated after a jump finds its upload, and does not end it."""
    machine, _ = await machine_of(world)
    record = (await world.create(FakeContent(), AT_LENGTH, len(KELP), idempotency_key="kelp")).record
    machine.now += 9 * DAY
    again = (await world.create(FakeContent(), AT_LENGTH, len(KELP), idempotency_key="kelp")).record

    assert record.key == again.key


async def test_what_expires_by_the_right_clock_is_deleted(world: World) -> None:
    """Time that really went by counts, and so does an hour of it after a jump."""
    machine, keeper = await machine_of(world)
    record = await kelp_until(world, 5, AT_LENGTH)
    machine.now += 9 * DAY
    await machine.watch(keeper, LIMITS.idle_expiry / 2)
    machine.now -= 9 * DAY
    await machine.watch(keeper, LIMITS.idle_expiry / 2 + MINUTE)
    with pytest.raises(UploadExpired):
        await world.offset(record)
    await world.uploads().sweep()

    assert State.EXPIRED == (await world.stored(record)).state


@pytest.mark.parametrize("jump", [9 * DAY, -9 * DAY])
async def test_a_finish_is_tried_again_whatever_the_clock_says(world: World, jump: float) -> None:
    """What may be done at any time does not wait for a clock to be believed."""
    machine, keeper = await machine_of(world)
    world.content.fail("complete")
    record = await received(world)
    machine.now += jump
    await machine.watch(keeper, LIMITS.finish_retry + MINUTE)
    await world.uploads().sweep()

    assert State.COMPLETE == (await world.stored(record)).state
