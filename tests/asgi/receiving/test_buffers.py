"""
Buffers that many streams share.
"""

from __future__ import annotations

from holdfast.service.asgi.receiving.buffers import BUDGET, FEW, LARGE, SMALL, SPARE, Buffers


def _keep(buffers: Buffers) -> memoryview:
    spare = buffers.spare()
    assert spare is not None
    buffers.keep(spare)
    return spare


def test_a_spare_buffer_is_for_everybody() -> None:
    """The same buffer is shown until somebody keeps it, and again when it is given back."""
    buffers = Buffers()
    first, second = buffers.spare(), buffers.spare()
    kept = _keep(buffers)
    other = buffers.spare()
    buffers.give_back(kept)

    assert first is second is kept is buffers.spare()
    assert other is not kept


def test_few_large_ones_or_many_small_ones() -> None:
    """One or two streams get large buffers, more get small ones, until few are left again."""
    buffers = Buffers()
    kept = [_keep(buffers) for _ in range(8)]
    for buffer in kept[1:]:
        buffers.give_back(buffer)

    assert [LARGE] * (FEW // LARGE) + [SMALL] * 4 == [len(buffer) for buffer in kept]
    assert LARGE == len(_keep(buffers))


def test_budget() -> None:
    """No more than the budget is lent, and what was given back can be lent again."""
    buffers = Buffers(2 * LARGE)
    kept = [_keep(buffers), _keep(buffers)]
    none = buffers.spare()
    buffers.give_back(kept.pop())

    assert none is None
    assert buffers.spare() is not None
    assert LARGE == buffers.lent


def test_unused_memory_goes_back() -> None:
    """After a rush not everything is kept for the next one."""
    buffers = Buffers()
    kept = []
    while (spare := buffers.spare()) is not None:
        buffers.keep(spare)
        kept.append(spare)
    most = buffers.lent
    for buffer in kept:
        buffers.give_back(buffer)

    assert BUDGET - LARGE < most <= BUDGET
    assert 0 == buffers.lent
    assert SPARE - LARGE < buffers.unused <= SPARE
