"""
Who is next, where few can be served at once: tenants in turn, principals of a tenant in turn, and each of them first come, first
served.  So whoever sends many images waits for those, and others do not.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import dataclass

from service.images.errors import Busy


@dataclass(frozen=True, slots=True)
class Claimant:
    """For whom an image is worked on; without accounts, all of a tenant are one."""

    tenant: str = ""
    subject: str | None = None


class Turns:
    """
    Gives *most* turns at once; *each* claimant may have and await so many.
    """

    def __init__(self, most: int, *, each: int) -> None:
        self._free = most
        self._each = each
        self._claims: Counter[Claimant] = Counter()
        self._waiting: dict[str, dict[str | None, deque[asyncio.Future[None]]]] = {}

    def claim(self, by: Claimant) -> None:
        """
        Take a place, which `leave` gives back.

        :raises Busy: *by* has all that one may have.
        """
        if self._claims[by] >= self._each:
            raise Busy("too many of your images are waiting")
        self._claims[by] += 1

    def leave(self, by: Claimant) -> None:
        """
        Give a place back.
        """
        self._claims[by] -= 1
        if not self._claims[by]:
            del self._claims[by]

    async def wait(self, by: Claimant) -> None:
        """
        Wait for a turn, which `end` gives to the next.
        """
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(by.tenant, {}).setdefault(by.subject, deque()).append(turn)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self.end()  # it came at the very moment in which its claimant left
            else:
                self._forget(by, turn)
            raise

    def end(self) -> None:
        """
        Give a turn to the next.
        """
        if not self._waiting:
            self._free += 1
            return
        # Dictionaries keep the order in which names came: the first is next, and goes behind all others if more of it waits.
        tenant, subjects = next(iter(self._waiting.items()))
        subject, turns = next(iter(subjects.items()))
        turn = turns.popleft()
        del self._waiting[tenant], subjects[subject]
        if turns:
            subjects[subject] = turns
        if subjects:
            self._waiting[tenant] = subjects
        turn.set_result(None)

    def _forget(self, by: Claimant, turn: asyncio.Future[None]) -> None:
        subjects = self._waiting[by.tenant]
        subjects[by.subject].remove(turn)
        if not subjects[by.subject]:
            del subjects[by.subject]
        if not subjects:
            del self._waiting[by.tenant]
