"""
What claims (`holdfast.storage.leases.claims`) need of a backend: rows that name the claimants, and messages between processes.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol

from holdfast.storage.records import Ref


class Liveness(enum.Enum):
    """What is known of the process that a message was for."""

    SENT = "it is alive, or asleep"
    NOBODY = "it is dead, and can do no harm"
    UNKNOWN = "it cannot be asked; it may be alive all the same"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a claimant found in the row, and the epoch that it was given."""

    epoch: int
    before: str | None = None
    """The claimant that stood there."""
    behind: str | None = None
    """Whom that one was behind."""
    asked: bool = False
    """Whether it has been asked to let go already."""
    lapsed: bool = False
    """Whether it counts as asleep."""


class Rows(Protocol):
    """
    Where claimants are written down; all of them may raise Unavailable.
    """

    async def swap(self, ref: Ref, name: str) -> Found:
        """
        Write *name* into the row, as behind the one that stands there.  When this fails, *name* does not stand there.
        """
        ...

    async def give_back(self, ref: Ref, name: str, found: Found) -> bool:
        """
        Put the one that was found in the place of *name* again; return False when a newer one stands there.
        """
        ...

    async def settle(self, ref: Ref, name: str) -> None:
        """
        Write down that *name* is behind nobody.
        """
        ...

    async def forget(self, ref: Ref, name: str) -> None:
        """
        Delete the row if *name* stands there.
        """
        ...


class Post(Protocol):
    """
    How processes speak with each other.
    """

    async def ask(self, process: str, message: str) -> Liveness:
        """
        Send *message*, and return what is known of *process*.
        """
        ...

    def tell(self, process: str, message: str) -> None:
        """
        Send *message*, if that can be done.
        """
        ...


def process_of(name: str) -> str:
    """
    Return the process of a claimant.
    """
    return name.partition("/")[0]
