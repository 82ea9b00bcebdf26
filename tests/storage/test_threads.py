"""
What the bridges to blocking work promise.
"""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress

import pytest

from holdfast.storage.threads import AVOIDS, QUICK, Pace, Threads, stopped, together, unbroken


class Trouble(Exception):
    """What the work of a test fails with."""


async def _fails() -> None:
    raise Trouble


async def test_unbroken_returns_and_raises() -> None:
    """Without a cancellation, work returns and fails as if it were awaited directly."""
    assert 4 == await unbroken(asyncio.sleep(0, 4))
    with pytest.raises(Trouble):
        await unbroken(_fails())


@pytest.mark.parametrize("cancellations", [1, 3])
@pytest.mark.parametrize("trouble", [None, Trouble()], ids=["work", "trouble"])
async def test_unbroken_work_is_not_left_half_done(cancellations: int, trouble: Trouble | None) -> None:
    """However often its caller is cancelled, work goes on to its end, and only then the caller is cancelled."""
    go_on = asyncio.Event()
    done: list[str] = []

    async def work() -> None:
        await go_on.wait()
        done.append("whole")
        if trouble is not None:
            raise trouble

    caller = asyncio.create_task(unbroken(work()))
    for _ in range(cancellations):
        await asyncio.sleep(0)
        caller.cancel()
    await asyncio.sleep(0)
    was_early = caller.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await caller

    assert not was_early
    assert ["whole"] == done


async def test_works_go_together() -> None:
    """What several works return is returned in their order."""
    assert [3, 1, 2] == await together(asyncio.sleep(0.02, 3), asyncio.sleep(0, 1), asyncio.sleep(0.01, 2))
    assert [] == await together()


@pytest.mark.parametrize("cancelled", [False, True], ids=["failed", "cancelled"])
async def test_no_work_is_left_alone(cancelled: bool) -> None:
    """When one work fails, or the caller is cancelled, the others have ended before that is told."""
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            ended.append("late")

    async def first() -> None:
        await asyncio.sleep(0.01)
        if not cancelled:
            raise Trouble
        await asyncio.sleep(60)

    caller = asyncio.create_task(together(work(), first(), work()))
    if cancelled:
        await asyncio.sleep(0.02)
        caller.cancel()
    begun = time.monotonic()
    with pytest.raises(asyncio.CancelledError if cancelled else Trouble):
        await caller

    assert ["late", "late"] == ended
    assert time.monotonic() - begun < 30  # they were told to end


async def test_cancelled_work_cancels_its_caller() -> None:
    """Work that is cancelled itself ends its caller in the same way."""
    work = asyncio.ensure_future(asyncio.sleep(60))
    caller = asyncio.create_task(unbroken(work))
    await asyncio.sleep(0)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_calls_run_on_threads_of_their_own() -> None:
    """A blocking call is made on a thread with the name of its owner, and its result or error comes back."""
    threads = Threads("kelp", 2)

    def fail() -> None:
        raise Trouble

    assert threading.current_thread() is not await threads.run(threading.current_thread)
    assert (await threads.run(threading.current_thread)).name.startswith("kelp")
    assert [3] == await threads.run(sorted, [3], reverse=True)
    with pytest.raises(Trouble):
        await threads.run(fail)
    threads.close()


async def test_close_waits_for_calls_under_way() -> None:
    """Nobody's file is closed underneath a call: closing waits for it."""
    threads = Threads("kelp", 1)
    begun, go_on = threading.Event(), threading.Event()
    done: list[str] = []

    def work() -> None:
        begun.set()
        go_on.wait(10)
        done.append("whole")

    call = asyncio.create_task(threads.run(work))
    while not begun.is_set():
        await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(go_on.set)
    await asyncio.to_thread(threads.close)

    assert ["whole"] == done
    await call


async def test_a_task_that_swallows_its_end() -> None:
    """A task is cancelled until it has ended, though it takes no notice at first; what it failed with is nobody's concern."""
    begun = asyncio.Event()

    async def stubborn(*, fails: bool) -> None:
        begun.set()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        if fails:
            raise RuntimeError
        await asyncio.sleep(60)

    for fails in (False, True):
        begun.clear()
        task = asyncio.create_task(stubborn(fails=fails))
        await begun.wait()
        await stopped(task)
        await stopped(task)

        assert task.done()


async def test_no_calls_after_the_end() -> None:
    """Who comes after the threads have ended is told so, and does not wait for ever."""
    threads = Threads("kelp", 1)
    await threads.run(sorted, [])
    threads.close()
    with pytest.raises(RuntimeError):
        await threads.run(sorted, [])


@pytest.mark.parametrize("cancellations", [1, 3])
async def test_a_call_is_not_left_half_done(cancellations: int) -> None:
    """However often its caller is cancelled, a call goes on to its end, and only then the caller is cancelled."""
    threads = Threads("kelp", 1)
    begun, go_on = threading.Event(), threading.Event()
    done: list[str] = []

    def work() -> None:
        begun.set()
        go_on.wait(10)
        done.append("whole")

    caller = asyncio.create_task(threads.run(work))
    while not begun.is_set():
        await asyncio.sleep(0)
    for _ in range(cancellations):
        caller.cancel()
        await asyncio.sleep(0)
    was_early = caller.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    threads.close()

    assert not was_early
    assert ["whole"] == done


async def test_as_many_threads_as_calls() -> None:
    """Calls that wait do not hold up others, up to the number of threads; no more are started than are needed."""
    threads = Threads("kelp", 3)
    together = threading.Barrier(3)
    await asyncio.gather(*(threads.run(together.wait, 10) for _ in range(3)))
    names = {(await threads.run(threading.current_thread)).name for _ in range(10)}
    busy = await asyncio.gather(*(threads.run(threading.current_thread) for _ in range(30)))
    threads.close()

    assert names <= {thread.name for thread in busy} | names
    assert 3 >= len({thread.name for thread in busy} | names)


async def test_results_come_in_one_go() -> None:
    """Many calls that are ready together are told of together, each caller with its own result."""
    threads = Threads("kelp", 3)

    assert [*range(500)] == await asyncio.gather(*(threads.run(int, str(number)) for number in range(500)))
    threads.close()


async def test_short_calls_are_made_on_the_loop() -> None:
    """A call that is quick is made on the event loop; after one that was not, a thread makes them."""
    threads = Threads("kelp", 1)
    here = threading.current_thread()
    before = await threads.on_loop(threading.current_thread)
    await threads.on_loop(time.sleep, 2 * QUICK)
    after = await threads.on_loop(threading.current_thread)
    threads.close()

    assert here is before
    assert here is not after


def test_a_slow_call_is_remembered_whatever_it_comes_to() -> None:
    """A call that failed after a long time was slow as well; its error comes back."""
    pace = Pace()

    def fail(seconds: float) -> None:
        time.sleep(seconds)
        raise Trouble

    with pytest.raises(Trouble):
        pace.timed(fail, 0.0)
    was_quick = pace.is_quick
    with pytest.raises(Trouble):
        pace.timed(fail, 2 * QUICK)

    assert was_quick
    assert not pace.is_quick


def test_who_was_held_up_longer_stays_away_longer() -> None:
    """However slow a disk is, the event loop loses the same small part of its time to it."""
    pace = Pace()
    pace.timed(time.sleep, 2 * QUICK)
    until = time.monotonic() + AVOIDS * QUICK
    while time.monotonic() < until:
        assert not pace.is_quick
        time.sleep(QUICK)

    time.sleep(2 * AVOIDS * QUICK)
    assert pace.is_quick


async def test_close_leaves_behind_what_takes_too_long() -> None:
    """A call that does not end is waited for only as long as one wants to."""
    threads, go_on = Threads("test", 2), threading.Event()
    call = threads.begin(go_on.wait)
    begun = time.monotonic()
    await asyncio.to_thread(threads.close, 0.05)
    took = time.monotonic() - begun
    go_on.set()

    assert await call
    assert took < 5
