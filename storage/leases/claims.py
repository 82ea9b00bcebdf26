"""
How a newcomer gets a lease from whoever has it: by asking, wherever that one runs.

Theory of operation
-------------------

A row, kept where every process finds it, names the newest claimant of an upload as ``<process>/<serial>``.  To acquire, a
newcomer swaps its own name into the row, and asks the one it found there to let go:

    newcomer → holder    evict <serial> <newcomer>
    holder → newcomer    busy <serial of the newcomer>                 (alive, and at work that cannot be interrupted)
    holder → newcomer    released <serial of the newcomer> <0|1>       (1: somebody before may still be asleep)
    holder → newcomer    unknown <serial of the newcomer>              (no such claim, or not for a while)

So claimants form a chain, each waiting only for the one before it.  Messages may be lost, and are repeated; any may come twice.

While a claimant waits, its row tells whom it is *behind*; once that one has let go, or the facts are fenced against it, the row
does not.  So whoever finds a claimant that is dead, or that its process knows nothing of, knows whether somebody before that one
may still be asleep: then its lease is forced.

What the rows are, and how messages travel, is up to `holdfast.storage.leases.rows.Rows` and `Post`.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from holdfast.storage.errors import LeaseLost, StorageError
from holdfast.storage.leases.rows import Found, Liveness, Post, Rows
from holdfast.storage.ports.leases import PATIENCE, Lease, Leases
from holdfast.storage.records import Ref
from holdfast.storage.threads import unbroken

REMEMBERED = 1000


@dataclass(slots=True)
class Claim:
    """One claimant of this process, from its beginning until it has let go."""

    serial: int
    name: str
    ref: Ref
    evicted: Callable[[], object]
    answer: asyncio.Future[str | None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """What the one before says in the end: "0" or "1" (see above), or None if its process does not know it."""
    silence: float = 0.0
    """For how many seconds the one before has not been heard of."""
    epoch: int = 0
    waiting: bool = True
    busy: bool = False
    """Evicted, it will let go by itself."""
    lost: bool = False
    forced: bool = False
    """Whether somebody before may still be asleep, and the facts are not fenced against them yet."""
    gone: bool = False
    newcomer: str | None = None
    """The claimant that waits for this one to let go."""


class Claims:
    """
    The claimants of one process.

    A lost message is repeated after *repeat* seconds, or sooner by who waits for less.  An answer may take *answer* seconds:
    nobody is passed over before that.
    """

    def __init__(self, leases: Leases, rows: Rows, post: Post, repeat: float, answer: float = 0.0) -> None:
        self._leases = leases
        self._rows = rows
        self._post = post
        self._repeat = repeat
        self._answer_within = answer
        self._serials = itertools.count(1)
        self._claims: dict[int, Claim] = {}
        self._taken: dict[tuple[Ref, int], Claim] = {}
        """By the upload and the epoch."""
        self._left: OrderedDict[int, bool] = OrderedDict()
        """Of the last that have let go, whether they were forced: they may still be asked for."""
        self.process = secrets.token_hex(8)

    def enter(self, ref: Ref, evicted: Callable[[], object]) -> Claim:
        """
        Return a new claim.  It is known from now on: who finds its name in the row may ask at once.
        """
        serial = next(self._serials)
        mine = self._claims[serial] = Claim(serial, f"{self.process}/{serial}", ref, evicted)
        return mine

    def take_free(self, mine: Claim, epoch: int) -> Lease:
        """
        Get a lease that nobody had: the name of *mine* is in the row already, behind nobody.
        """
        mine.epoch = epoch
        return self.granted(mine)

    async def take(self, mine: Claim, wait: float) -> Lease:
        """
        Get the lease from whoever has it, as `holdfast.storage.ports.Leases.acquire` does.
        """
        try:
            await unbroken(self._take(mine, wait))
            return self.granted(mine)
        except BaseException:
            await unbroken(self.let_go(mine))
            raise

    def granted(self, mine: Claim) -> Lease:
        """
        Return the lease of a claim that nobody is before any more.

        :raises LeaseLost: somebody came after it; it still has to let go.
        """
        mine.waiting = False
        if mine.lost:
            raise LeaseLost(f"a newer request took {mine.ref.key}")
        self._taken[mine.ref, mine.epoch] = mine
        return Lease(ref=mine.ref, epoch=mine.epoch, forced=mine.forced, leases=self._leases)

    def find(self, lease: Lease) -> Claim | None:
        """
        Return the claim that has *lease*, if it has not let go.
        """
        mine = self._taken.get((lease.ref, lease.epoch))
        return None if mine is None or mine.gone else mine

    async def release(self, lease: Lease, *, fenced: bool) -> None:
        """
        Let go of *lease*, as `holdfast.storage.ports.Leases.release` does.
        """
        mine = self.find(lease)
        if mine is not None:
            await unbroken(self.let_go(mine, fenced=fenced))

    async def let_go(self, mine: Claim, *, fenced: bool = False) -> None:
        """
        Delete the row, unless the next claimant has to hear of a sleeper, and tell who waits.
        """
        if mine.gone:
            return
        mine.gone = True
        mine.forced = mine.forced and not fenced
        try:
            if mine.epoch and not mine.forced:
                await self._rows.forget(mine.ref, mine.name)
        finally:
            self.dismiss(mine)

    def dismiss(self, mine: Claim, *, fenced: bool = False) -> None:
        """
        Know no more of a claim whose row has been seen to, and tell who waits.
        """
        mine.gone = True
        mine.forced = mine.forced and not fenced
        # Of one whose swap failed nobody knows whether its name stands there all the same; the row says whom it is behind.
        if self._claims.pop(mine.serial, None) is not None and mine.epoch:
            self._left[mine.serial] = mine.forced
        if len(self._left) > REMEMBERED:
            self._left.popitem(last=False)
        self._taken.pop((mine.ref, mine.epoch), None)
        if mine.newcomer is not None:
            process, _, serial = mine.newcomer.partition("/")
            self._tell(process, f"released {serial} {int(mine.forced)}")

    def evict(self, mine: Claim) -> None:
        """
        Tell a claim, once, that somebody came after it.
        """
        if not (mine.lost or mine.gone):
            mine.lost = True
            mine.busy = mine.evicted() is True

    def standing(self) -> Sequence[Claim]:
        """
        Return the claims whose names may stand in rows.
        """
        return [mine for mine in self._claims.values() if mine.epoch and not mine.gone]

    def understand(self, message: str) -> None:
        """
        Do what a message says that was for this process.
        """
        match message.split(" "):
            case ["evict", serial, newcomer]:
                self._evict(int(serial), newcomer)
            case ["busy", serial]:
                self._hear(int(serial))
            case ["released", serial, forced]:
                self._answer(int(serial), forced)
            case ["unknown", serial]:
                self._answer(int(serial), None)
            case _:
                pass  # "hello" only asks whether somebody listens

    async def _take(self, mine: Claim, wait: float) -> None:
        found = await self._rows.swap(mine.ref, mine.name)
        mine.epoch = found.epoch
        if found.before is None:
            return
        mine.forced = True  # for whoever comes meanwhile
        try:
            forced = found.lapsed or await self._dislodge(mine, found.before, found, wait)
        except StorageError:
            if await self._rows.give_back(mine.ref, mine.name, found):
                self.dismiss(mine)
            raise
        mine.forced = forced
        if not forced:
            await self._rows.settle(mine.ref, mine.name)

    async def _dislodge(self, mine: Claim, before: str, found: Found, wait: float) -> bool:
        """Return whether somebody may still act on the lease of *before*, or on that of the one it was behind."""
        loop = asyncio.get_running_loop()
        process, _, serial = before.partition("/")
        wait = max(wait, self._answer_within)
        step = min(self._repeat, wait / 2)
        begun = loop.time()
        asked = found.asked and process != self.process
        while not mine.answer.done():
            if not asked:
                match await self._ask(process, f"evict {serial} {mine.name}"):
                    case Liveness.NOBODY:
                        return found.behind is not None
                    case Liveness.UNKNOWN:
                        return True
            asked = False
            await asyncio.wait([mine.answer], timeout=step)
            # It may have been longer; but when this process itself was held up, the other one was not silent for as long.
            mine.silence += step
            if mine.silence >= wait and not mine.answer.done():
                return True  # asleep
            if loop.time() - begun >= max(wait, PATIENCE) and not mine.answer.done():
                raise LeaseLost("the holder is still at work")
        said = mine.answer.result()
        return found.behind is not None if said is None else said == "1"

    def _evict(self, serial: int, newcomer: str) -> None:
        process, _, asking = newcomer.partition("/")
        mine = self._claims.get(serial)
        if mine is None:
            forced = self._left.get(serial)
            self._tell(process, f"unknown {asking}" if forced is None else f"released {asking} {int(forced)}")
            return
        mine.newcomer = newcomer
        if mine.gone:
            return  # it is just letting go, and will tell
        self.evict(mine)
        if mine.busy or mine.waiting:
            self._tell(process, f"busy {asking}")

    def _hear(self, serial: int) -> None:
        mine = self._claims.get(serial)
        if mine is not None:
            mine.silence = 0.0

    def _answer(self, serial: int, said: str | None) -> None:
        mine = self._claims.get(serial)
        if mine is not None and not mine.answer.done():
            mine.answer.set_result(said)

    async def _ask(self, process: str, message: str) -> Liveness:
        if process != self.process:
            return await self._post.ask(process, message)
        self.understand(message)
        return Liveness.SENT

    def _tell(self, process: str, message: str) -> None:
        if process == self.process:
            self.understand(message)
        else:
            self._post.tell(process, message)
