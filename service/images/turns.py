"""
Orders the requests for images fairly: tenants take turns, principals of a tenant take turns, and the requests of each come in
their order.  A client that sends many images waits for its own, and others do not.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import dataclass

from holdfast.service.images.errors import ImagesBusy


@dataclass(frozen=True, slots=True)
class Claimant:
    """The account that an image is worked on for; without accounts, a whole tenant."""

    tenant: str = ""
    subject: str | None = None


class ImageTurns:
    """
    Gives *most* turns at a time; each claimant may have and wait for *each* turns.

    One claimant has all turns only while it is the only one: otherwise the last is reserved, so that short work of others need
    not wait for its long work.  With accounts, a claimant never counts as the only one.
    """

    def __init__(self, most: int, *, each: int) -> None:
        self._most = most
        self._free = most
        self._each = each
        self._claims: Counter[Claimant] = Counter()
        self._having: Counter[Claimant] = Counter()
        self._first: Claimant | None = None
        self._has_others = False
        self._waiting: dict[str, dict[str | None, deque[asyncio.Future[None]]]] = {}

    @property
    def is_free(self) -> bool:
        """Whether a turn is free, and no claimant waits for it."""
        return self._free > 0

    def claim(self, by: Claimant) -> None:
        """
        Reserve a place, until `leave`.

        :raises ImagesBusy: *by* has all its places.
        """
        if self._claims[by] >= self._each:
            raise ImagesBusy("too many of your images are waiting")
        self._claims[by] += 1
        if self._first is None:
            self._first = by
        self._has_others = self._has_others or by.subject is not None or by != self._first

    def leave(self, by: Claimant) -> None:
        """Free a place."""
        _less(self._claims, by)

    async def wait(self, by: Claimant) -> None:
        """Wait for a turn, until `end`."""
        if self._free and self._may_have(by):
            self._take(by)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(by.tenant, {}).setdefault(by.subject, deque()).append(turn)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self.end(by)  # the turn came just when its claimant was cancelled
            else:
                self._forget(by, turn)
            raise

    def end(self, by: Claimant) -> None:
        """Pass the turn of *by* on."""
        _less(self._having, by)
        self._free += 1
        following = self._next()
        if following is not None:
            self._give(following)

    def _may_have(self, by: Claimant) -> bool:
        """Say whether *by* may have one more turn, if one is free."""
        return self._having[by] < (max(1, self._most - 1) if self._has_others else self._most)

    def _take(self, by: Claimant) -> None:
        self._free -= 1
        self._having[by] += 1

    def _next(self) -> Claimant | None:
        """
        Return the waiting claimant that is next, or None if no waiting claimant may have another turn.

        Dictionaries keep the order in which names were added.
        """
        claimants = (Claimant(tenant, subject) for tenant, subjects in self._waiting.items() for subject in subjects)
        return next(filter(self._may_have, claimants), None)

    def _give(self, by: Claimant) -> None:
        """Give a free turn to a waiting claimant; its other requests go behind those of all others."""
        subjects = self._waiting.pop(by.tenant)
        turns = subjects.pop(by.subject)
        turn = turns.popleft()
        if turns:
            subjects[by.subject] = turns
        if subjects:
            self._waiting[by.tenant] = subjects
        self._take(by)
        turn.set_result(None)

    def _forget(self, by: Claimant, turn: asyncio.Future[None]) -> None:
        subjects = self._waiting[by.tenant]
        subjects[by.subject].remove(turn)
        if not subjects[by.subject]:
            del subjects[by.subject]
        if not subjects:
            del self._waiting[by.tenant]


def _less(counts: Counter[Claimant], by: Claimant) -> None:
    counts[by] -= 1
    if not counts[by]:
        del counts[by]
