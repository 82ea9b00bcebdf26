"""
What one process does with its claims, whatever rows and messages are.
"""

from __future__ import annotations

import asyncio

import pytest

from holdfast.storage.keys import new_key
from holdfast.storage.leases import claims
from holdfast.storage.leases.claims import Claims
from holdfast.storage.leases.rows import Found, Liveness
from holdfast.storage.memory import MemoryLeases
from holdfast.storage.records import Ref
from tests.storage.backends import TENANT

REF = Ref(tenant=TENANT, key=new_key())
LONG = 60.0


class OneRow:
    """A row that tells a newcomer that the one before has been asked already."""

    def __init__(self) -> None:
        self.epoch = 1
        self.name = ""

    async def swap(self, _ref: Ref, name: str) -> Found:
        self.epoch += 1
        before, self.name = self.name, name
        return Found(epoch=self.epoch, before=before, asked=True)

    async def give_back(self, _ref: Ref, _name: str, _found: Found) -> bool:
        return False

    async def clear_behind(self, ref: Ref, name: str) -> None:
        pass

    async def forget(self, ref: Ref, name: str) -> None:
        pass


class Letters:
    """Messages to other processes, which never answer."""

    def __init__(self) -> None:
        self.told: list[str] = []

    async def ask(self, _process: str, message: str) -> Liveness:
        self.told.append(message)
        return Liveness.SENT

    def send(self, _process: str, message: str) -> None:
        self.told.append(message)


async def test_a_holder_of_the_same_process_is_asked_at_once() -> None:
    """That a store has told the process of a holder is no reason to wait when that process is this one."""
    row = OneRow()
    mine = Claims(MemoryLeases(), row, Letters(), repeat=LONG)
    asked = asyncio.Event()
    holder = mine.enter(REF, asked.set)
    row.name = holder.name
    lease = mine.take_free(holder, row.epoch)
    taking = asyncio.create_task(mine.take(mine.enter(REF, lambda: None), wait=LONG))
    async with asyncio.timeout(LONG / 12):
        await asked.wait()
    await mine.release(lease, fenced=True)

    assert not (await taking).forced


async def test_those_that_let_go_are_forgotten_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for one of the last that let go hears so; of those before them nobody knows any more."""
    monkeypatch.setattr(claims, "REMEMBERED", 2)
    letters = Letters()
    mine = Claims(MemoryLeases(), OneRow(), letters, repeat=LONG)
    for epoch in range(1, 6):
        await mine.release(mine.take_free(mine.enter(REF, lambda: None), epoch), fenced=True)
    for serial in range(1, 6):
        mine.receive(f"evict {serial} other/{serial}")

    assert ["unknown 1", "unknown 2", "unknown 3", "released 4 0", "released 5 0"] == letters.told
