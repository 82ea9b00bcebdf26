"""
What claims (`holdfast.storage.leases.claims`) need of a backend: rows that name the claimants, and messages between processes.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol

from holdfast.storage.records import Ref


class Liveness(enum.Enum):
    """What is known of the process that a message was sent to."""

    SENT = "alive or unresponsive: the message was sent"
    DEAD = "dead: it can do no more"
    UNKNOWN = "unreachable: it may still be running"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a claimant found in the row, and the epoch that it got."""

    epoch: int
    before: str | None = None
    """The previous claimant, or None."""
    behind: str | None = None
    """The claimant that the previous one was behind, or None."""
    asked: bool = False
    """Whether the previous claimant has been asked to let go already."""
    lapsed: bool = False
    """Whether the previous claimant's time is over."""


class Rows(Protocol):
    """The rows that name claimants.  Every method may raise Unavailable."""

    async def swap(self, ref: Ref, name: str) -> Found:
        """Write *name* into the row, behind the claimant that it names now.  If this fails, the row does not name *name*."""
        ...

    async def give_back(self, ref: Ref, name: str, found: Found) -> bool:
        """Put the claimant that was found back in the place of *name*; return False if the row names a newer one."""
        ...

    async def clear_behind(self, ref: Ref, name: str) -> None:
        """Record that *name* is behind no other claimant."""
        ...

    async def forget(self, ref: Ref, name: str) -> None:
        """Delete the row if it names *name*."""
        ...


class Post(Protocol):
    """Carries messages between processes."""

    async def ask(self, process: str, message: str) -> Liveness:
        """Send *message*, and return what is known of *process*."""
        ...

    def send(self, process: str, message: str) -> None:
        """Try to send *message*, in the background."""
        ...


def process_of(name: str) -> str:
    """Return the process of a claimant's name."""
    return name.partition("/")[0]
