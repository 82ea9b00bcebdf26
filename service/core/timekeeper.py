"""Keeps two bounds of the current time, so that a clock that is wrong deletes nothing."""

# Theory of operation
# -------------------
#
# Expiry is recorded by the clock of the machine, which can be wrong: set by hand, reset by an empty battery, moved by a bad
# time server, or corrected after it was wrong.  Clients would pay for it, since expired uploads are deleted for good.  So two
# times are kept beside the clock:
#
# * `at_least`: it is certainly that late.  Uploads expire and attachments are purged by this time.
# * `at_most`: it may be that late.  The sweeper repeats what may be done at any time by this time, and uploads are kept from it
#   on: what is recorded while the clock is behind does not expire when it is corrected.
#
# The *certain* time advances about as fast as the monotonic clock of this process.  While the clock agrees with it, up to
# `TOLERANCE`, it follows the clock, slowly.  If the clock differs by more, it is in doubt: `at_least` is the earlier of both,
# `at_most` the later, and the log says so.  Once the clock has kept step with the monotonic one for *patience* seconds, it is
# trusted again, and the log says that, too.
#
# A process knows nothing of the time before it started.  So at every sweep it writes a note into the metadata store: the
# certain time, the clock, and for how long that has kept step.  The next process goes on from there.  A service that was off
# for nine days finds its clock nine days ahead of the note: it may be right, but nothing confirms it.  Uploads that expired
# meanwhile can be continued and finished for another *patience* seconds, then they are deleted.  *Patience* is as long as an
# idle upload lives, and at most a day.
#
# Several processes write the same note.  A process whose clock differs from what another one wrote since its last look is in
# doubt while that is so.
#
# If the store has no note yet, the clock is trusted, since there is nothing to compare it with.

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from holdfast.storage.errors import StorageError
from holdfast.storage.ports.notes import Notes

logger = logging.getLogger("holdfast")

NAME = "time"
SECONDS = 1.0
TOLERANCE = 300 * SECONDS
"""Seconds by which a clock may differ: time servers correct it, and a restart takes that long."""
LONGEST_PATIENCE = 86400 * SECONDS
FOLLOWING = 0.1
"""Correction of the certain time per second: a clock that runs too fast is in doubt before it does harm."""
NEVER = float("-inf")


def since_boot() -> float:
    """Return the seconds since the machine started, including sleep, so that sleep is no jump of the clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Times(Protocol):
    """Two bounds of the current time, in seconds since the epoch."""

    def at_least(self) -> float:
        """Return a time that has certainly come."""
        ...

    def at_most(self) -> float:
        """Return a time that may have come."""
        ...


class ByClock:
    """`Times` that trust a clock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock

    def at_least(self) -> float:
        return self._clock()

    def at_most(self) -> float:
        return self._clock()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Note:
    """What a process last saw: the certain time, its clock (both in seconds since the epoch), and how long that kept step."""

    certain: float
    clock: float
    steady: float

    def to_text(self) -> str:
        return json.dumps([self.certain, self.clock, self.steady])

    @classmethod
    def from_text(cls, text: str) -> _Note | None:
        try:
            certain, clock, steady, *_ = map(float, json.loads(text))
        except (ValueError, TypeError):
            return None
        return cls(certain=certain, clock=clock, steady=steady)


class Timekeeper:
    """
    `Times` that resist jumps of the clock, if `observe` is called every minute or so.

    From the first call on, and until the store has answered one, nothing is certain; before the first, the clock is trusted.
    """

    def __init__(
        self,
        notes: Notes,
        patience: float,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = since_boot,
    ) -> None:
        """*patience* is the number of seconds for which a clock that jumped must keep step before it is trusted."""
        self._notes = notes
        self._patience = min(patience, LONGEST_PATIENCE)
        self._clock = clock
        self._monotonic = monotonic
        self._certain: float | None = None
        self._since = 0.0
        """The monotonic time of `_certain`."""
        self._offset = 0.0
        """How far the clock was ahead of the monotonic one when it began to keep step."""
        self._steady_since = 0.0
        self._written: str | None = None
        self._asked = False
        self._doubted = False

    def at_least(self) -> float:
        if self._certain is None:
            return NEVER if self._asked else self._clock()
        return min(self._certain_now(), self._clock())

    def at_most(self) -> float:
        return self._clock() if self._certain is None else max(self._certain_now(), self._clock())

    async def observe(self) -> None:
        """
        Compare the clock with the certain time, and store the result.

        If the store fails, this process goes on with what it knows.
        """
        self._asked = True
        try:
            text = await self._notes.note(NAME)
        except StorageError:
            if self._certain is not None:
                self._compare(None)
            return
        note = None if text is None or text == self._written else _Note.from_text(text)
        if self._certain is None:
            self._begin(note)
        self._compare(note)
        now = _Note(certain=self._certain_now(), clock=self._clock(), steady=self._monotonic() - self._steady_since)
        try:
            await self._notes.write_note(NAME, now.to_text())
            self._written = now.to_text()
        except StorageError:
            logger.debug("the note of the time could not be written")

    def _certain_now(self) -> float:
        assert self._certain is not None  # noqa: S101 - `observe` was called
        return self._certain + self._monotonic() - self._since

    def _begin(self, note: _Note | None) -> None:
        now, ticks = self._clock(), self._monotonic()
        self._certain, self._since, self._offset, self._steady_since = now, ticks, now - ticks, ticks
        if note is not None:
            self._certain = note.certain
            if abs(now - note.clock) <= TOLERANCE:
                self._certain += max(0.0, now - note.clock)
                self._steady_since -= note.steady

    def _compare(self, note: _Note | None) -> None:
        now, ticks = self._clock(), self._monotonic()
        if abs(now - ticks - self._offset) > TOLERANCE or (note is not None and self._contradicts(note, now)):
            self._offset, self._steady_since = now - ticks, ticks
        certain = self._certain_now()
        ahead = now - certain
        if abs(ahead) <= TOLERANCE:
            certain = min(now, certain + FOLLOWING * (ticks - self._since))
        elif ticks - self._steady_since >= self._patience:
            certain = now
        self._log(ahead, doubted=abs(now - certain) > TOLERANCE)
        self._certain, self._since = certain, ticks

    def _log(self, ahead: float, *, doubted: bool) -> None:
        if doubted and not self._doubted:
            way = "ahead of" if ahead > 0 else "behind"
            logger.warning(
                "the clock is %.0f seconds %s the time that this service knows of: it was set, or the service was off.  Nothing"
                " is deleted because of that until the clock has run steadily for %.0f seconds; set the clock if it is wrong",
                abs(ahead), way, self._patience,
            )  # fmt: skip
        elif self._doubted and not doubted:
            logger.warning("the clock is trusted again; uploads that have expired by it are deleted")
        self._doubted = doubted

    def _contradicts(self, note: _Note, now: float) -> bool:
        """Say whether another process, since the last look of this one, saw a time that this clock cannot have had."""
        looked = now - (self._monotonic() - self._since)
        return not looked - TOLERANCE <= note.clock <= now + TOLERANCE
