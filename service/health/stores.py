"""
Which stores answer: asked on demand, and again and again during an outage; the log records changes.

However many requests meet an outage, it is logged when it begins, once a minute while it lasts, and when it is over.  A store
that has no room for more counts as an outage, too.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from holdfast.storage.errors import NoSpace, StorageError, Unavailable

logger = logging.getLogger("holdfast")

T = TypeVar("T")
Ping = Callable[[], Awaitable[None]]

SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PingPace:
    """How often stores are asked, and how often an outage is logged (seconds)."""

    bound: float = 2 * SECONDS
    """The time that `look` waits; a store that has not answered by then counts as failing."""
    silence: float = 10 * SECONDS
    """The time without an answer after which an outage begins."""
    again: float = 1 * SECONDS
    """The pause between two pings during an outage."""
    remind: float = 60 * SECONDS
    """The time between two log entries about the same outage."""


DEFAULT_PACE = PingPace()


class StoreHealth:
    """
    Watches the stores of a process.

    :param places: for each place, its stores by name with their pings; the stores of a place fail together
    """

    def __init__(self, places: Mapping[str, Mapping[str, Ping]], pace: PingPace = DEFAULT_PACE) -> None:
        self._places = [_StorePlace(name, pings, pace) for name, pings in places.items()]
        self._pace = pace
        self._looking: asyncio.Task[None] | None = None
        self._logged_at: float | None = None

    async def ask(self) -> Mapping[str, bool]:
        """Return for each store whether it answers, within the bound."""
        questions = [place.ask() for place in self._places if not place.is_out]
        if questions:
            await asyncio.wait(questions, timeout=self._pace.bound)
        return {name: well for place in self._places for name, well in place.answers.items()}

    def notice(self, error: BaseException) -> None:
        """Ping the stores in the background, if *error* or one of its causes says that a store fails."""
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, (Unavailable, NoSpace)):
            cause = cause.__cause__
        if cause is None or any(place.is_out for place in self._places):
            return
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._find_out(cause))

    async def close(self) -> None:
        """Cancel all pings."""
        tasks = {task for place in self._places for task in place.tasks}
        if self._looking is not None:
            tasks.add(self._looking)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=self._pace.bound)  # a ping on a thread cannot be cancelled

    async def _find_out(self, why: Unavailable | NoSpace) -> None:
        await asyncio.wait([place.ask() for place in self._places])
        if any(place.is_out for place in self._places):
            return
        now = time.monotonic()
        if self._logged_at is None or now - self._logged_at >= self._pace.remind:
            self._logged_at = now
            if isinstance(why, NoSpace):
                logger.warning("a store had no room for a request: %s", why)
            else:
                logger.warning("a store failed once, and answers again: %s", why)


class _StorePlace:
    """Stores that fail together."""

    def __init__(self, name: str, pings: Mapping[str, Ping], pace: PingPace) -> None:
        self.answers = dict.fromkeys(pings, True)
        self.tasks: set[asyncio.Task[Any]] = set()
        self._name = name
        self._pings = pings
        self._pace = pace
        self._asking: asyncio.Task[None] | None = None
        self._since: float | None = None
        self._logged_at = 0.0
        self._is_full = False

    @property
    def is_out(self) -> bool:
        """Whether an outage lasts."""
        return self._since is not None

    def ask(self) -> asyncio.Task[None]:
        """Return the ping under way, or a new one."""
        if self._asking is None:
            if not self.is_out:
                self.answers = dict.fromkeys(self._pings, False)
            self._asking = self._start(self._ask())
        return self._asking

    async def _ask(self) -> None:
        try:
            questions = {name: self._start(self._answer(name)) for name in self._pings}
            _, silent = await asyncio.wait(questions.values(), timeout=self._pace.silence)
            if silent:
                self.answers |= {name: False for name, question in questions.items() if question in silent}
                self._is_bad(Unavailable(f"no answer for {self._pace.silence:.0f} s"))
                await asyncio.wait(silent)
            trouble = [why for question in questions.values() if (why := question.result()) is not None]
        finally:
            self._asking = None
        if trouble:
            self._is_bad(trouble[0])
        elif self._since is not None:
            better = "has room again" if self._is_full else "answers again"
            logger.warning("%s %s, after %.0f s", self._name, better, time.time() - self._since)
            self._since = None

    async def _answer(self, name: str) -> Exception | None:
        """Return the error of a store's ping, or None."""
        why: Exception | None = None
        try:
            await self._pings[name]()
        except StorageError as error:
            why = error
        except Exception as error:
            logger.exception("%s: the ping of %s failed", self._name, name)
            why = Unavailable(repr(error))
        self.answers[name] = why is None
        return why

    def _is_bad(self, why: Exception) -> None:
        now = time.monotonic()
        is_full = isinstance(why, NoSpace)
        state = "has no room" if is_full else "does not answer"
        if self._since is None:
            self._since, self._logged_at = time.time(), now
            logger.error("%s %s: %s", self._name, state, why)
            self._start(self._wait_for_better())
        elif now - self._logged_at >= self._pace.remind or is_full is not self._is_full:
            self._logged_at = now
            since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self._since))
            logger.error("%s %s since %s: %s", self._name, state, since, why)
        self._is_full = is_full

    async def _wait_for_better(self) -> None:
        while self.is_out:
            await asyncio.sleep(self._pace.again)
            await asyncio.wait([self.ask()])

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task
