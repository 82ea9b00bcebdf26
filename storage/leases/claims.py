"""
How a claimant takes a lease from its holder, in whichever process that runs.

Theory of operation
-------------------

A row, which every process can read, names the newest claimant of an upload as ``<process>/<serial>``.  To acquire the lease, a
new claimant swaps its own name into the row, and asks the claimant it found there to let go:

    new → holder    evict <serial> <new claimant>
    holder → new    busy <serial of the new one>              (alive, and at work that cannot be interrupted)
    holder → new    released <serial of the new one> <0|1>    (1: an earlier claimant may still be running, unresponsive)
    holder → new    unknown <serial of the new one>           (no such claim, or forgotten)

So claimants form a chain, each waiting only for the one before it.  Messages may be lost and are repeated; any may come twice.

While a claimant waits, its row names the one that it is *behind*.  The row drops that name once the other has let go, or once
the facts are fenced against it.  So a claimant that finds a dead or unknown predecessor reads in the row whether an even
earlier one may still be running; if so, the new lease is *forced*.

`holdfast.storage.leases.rows.Rows` says where the rows are kept, `Post` how messages travel.
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
    """One claimant of this process, from its entry until it has let go."""

    serial: int
    name: str
    ref: Ref
    evicted: Callable[[], object]
    answer: asyncio.Future[str | None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """The final answer of the previous claimant: "0" or "1" (see above), or None if its process does not know it."""
    silence: float = 0.0
    """Seconds since the previous claimant last answered."""
    epoch: int = 0
    waiting: bool = True
    busy: bool = False
    """Whether the evicted caller will let go by itself."""
    lost: bool = False
    forced: bool = False
    """Whether an earlier claimant may still be running, and the facts are not fenced against it yet."""
    gone: bool = False
    successor: str | None = None
    """The claimant that waits for this one to let go."""


class Claims:
    """
    The claimants of one process.

    An eviction is repeated after *repeat* seconds, or sooner for a caller with a shorter wait.  An answer may take *answer*
    seconds: no claimant is fenced off before that.
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
        """By upload and epoch."""
        self._left: OrderedDict[int, bool] = OrderedDict()
        """For the last claims that let go, whether they were forced: others may still ask for them."""
        self.process = secrets.token_hex(8)

    def enter(self, ref: Ref, evicted: Callable[[], object]) -> Claim:
        """
        Return a new claim.  It answers messages from now on, since any process that reads its name in the row may ask at once.
        """
        serial = next(self._serials)
        mine = self._claims[serial] = Claim(serial, f"{self.process}/{serial}", ref, evicted)
        return mine

    def take_free(self, mine: Claim, epoch: int) -> Lease:
        """Return a lease that was free: the row names *mine* already, behind no other claimant."""
        mine.epoch = epoch
        return self.granted(mine)

    async def take(self, mine: Claim, wait: float) -> Lease:
        """Take the lease from its holder, as `holdfast.storage.ports.Leases.acquire` describes."""
        try:
            await unbroken(self._take(mine, wait))
            return self.granted(mine)
        except BaseException:
            await unbroken(self.let_go(mine))
            raise

    def granted(self, mine: Claim) -> Lease:
        """
        Return the lease of a claim that is first in the chain.

        :raises LeaseLost: a newer claimant exists; the caller still has to let this one go.
        """
        mine.waiting = False
        if mine.lost:
            raise LeaseLost(f"a newer request took {mine.ref.key}")
        self._taken[mine.ref, mine.epoch] = mine
        return Lease(ref=mine.ref, epoch=mine.epoch, forced=mine.forced, leases=self._leases)

    def find(self, lease: Lease) -> Claim | None:
        """Return the claim that has *lease*, if it has not let go."""
        mine = self._taken.get((lease.ref, lease.epoch))
        return None if mine is None or mine.gone else mine

    async def release(self, lease: Lease, *, fenced: bool) -> None:
        """Let go of *lease*, as `holdfast.storage.ports.Leases.release` describes."""
        mine = self.find(lease)
        if mine is not None:
            await unbroken(self.let_go(mine, fenced=fenced))

    async def let_go(self, mine: Claim, *, fenced: bool = False) -> None:
        """Delete the row, unless the next claimant must learn that the lease is forced, and answer the successor."""
        if mine.gone:
            return
        mine.gone = True
        mine.forced = mine.forced and not fenced
        try:
            if mine.epoch and not mine.forced:
                await self._rows.forget(mine.ref, mine.name)
        finally:
            self.remove(mine)

    def remove(self, mine: Claim, *, fenced: bool = False) -> None:
        """Forget a claim whose row is already dealt with, and answer its successor."""
        mine.gone = True
        mine.forced = mine.forced and not fenced
        # A claim without an epoch failed to swap; if the row names it all the same, the row also says whom it is behind.
        if self._claims.pop(mine.serial, None) is not None and mine.epoch:
            self._left[mine.serial] = mine.forced
        if len(self._left) > REMEMBERED:
            self._left.popitem(last=False)
        self._taken.pop((mine.ref, mine.epoch), None)
        if mine.successor is not None:
            process, _, serial = mine.successor.partition("/")
            self._send(process, f"released {serial} {int(mine.forced)}")

    def evict(self, mine: Claim) -> None:
        """Notify a claim, once, that a newer claimant exists."""
        if not (mine.lost or mine.gone):
            mine.lost = True
            mine.busy = mine.evicted() is True

    def in_rows(self) -> Sequence[Claim]:
        """Return the claims that rows may name."""
        return [mine for mine in self._claims.values() if mine.epoch and not mine.gone]

    def receive(self, message: str) -> None:
        """Act on a message for this process."""
        match message.split(" "):
            case ["evict", serial, successor]:
                self._evict(int(serial), successor)
            case ["busy", serial]:
                self._note_busy(int(serial))
            case ["released", serial, forced]:
                self._answer(int(serial), forced)
            case ["unknown", serial]:
                self._answer(int(serial), None)
            case _:
                pass  # "hello" only tests whether this process receives messages

    async def _take(self, mine: Claim, wait: float) -> None:
        found = await self._rows.swap(mine.ref, mine.name)
        mine.epoch = found.epoch
        if found.before is None:
            return
        mine.forced = True  # until the earlier claimants are known to have let go
        try:
            forced = found.lapsed or await self._await_release(mine, found.before, found, wait)
        except StorageError:
            if await self._rows.give_back(mine.ref, mine.name, found):
                self.remove(mine)
            raise
        mine.forced = forced
        if not forced:
            await self._rows.clear_behind(mine.ref, mine.name)

    async def _await_release(self, mine: Claim, before: str, found: Found, wait: float) -> bool:
        """Wait for *before* to let go; return whether it, or one it was behind, may still be running."""
        loop = asyncio.get_running_loop()
        process, _, serial = before.partition("/")
        wait = max(wait, self._answer_within)
        step = min(self._repeat, wait / 2)
        begun = loop.time()
        asked = found.asked and process != self.process
        while not mine.answer.done():
            if not asked:
                match await self._ask(process, f"evict {serial} {mine.name}"):
                    case Liveness.DEAD:
                        return found.behind is not None
                    case Liveness.UNKNOWN:
                        return True
            asked = False
            await asyncio.wait([mine.answer], timeout=step)
            # Counted in steps: a delay of this process does not mean that the other one was silent.
            mine.silence += step
            if mine.silence >= wait and not mine.answer.done():
                return True  # unresponsive
            if loop.time() - begun >= max(wait, PATIENCE) and not mine.answer.done():
                raise LeaseLost("the holder is still at work: try again later")
        said = mine.answer.result()
        return found.behind is not None if said is None else said == "1"

    def _evict(self, serial: int, successor: str) -> None:
        process, _, asking = successor.partition("/")
        mine = self._claims.get(serial)
        if mine is None:
            forced = self._left.get(serial)
            self._send(process, f"unknown {asking}" if forced is None else f"released {asking} {int(forced)}")
            return
        mine.successor = successor
        if mine.gone:
            return  # it is letting go now, and will answer
        self.evict(mine)
        if mine.busy or mine.waiting:
            self._send(process, f"busy {asking}")

    def _note_busy(self, serial: int) -> None:
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
        self.receive(message)
        return Liveness.SENT

    def _send(self, process: str, message: str) -> None:
        if process == self.process:
            self.receive(message)
        else:
            self._post.send(process, message)
