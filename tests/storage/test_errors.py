"""
What the words for trouble in stores promise.
"""

from __future__ import annotations

from holdfast.storage import errors
from holdfast.storage.errors import AlreadyExists, NoSpace, StorageError
from holdfast.storage.records import NO_PARTS, Receipt
from tests.storage.backends import new_upload


def test_the_tree_is_drawn() -> None:
    """The docstring of the module draws every error, and no other."""
    drawn = [line.strip("├└─│ ").split(" ")[0] for line in (errors.__doc__ or "").splitlines() if "──" in line]

    assert [error.__name__ for error in StorageError.__subclasses__()] == drawn


def test_facts_come_along() -> None:
    """An error carries what its catcher goes on with, where that is known."""
    record, receipt = new_upload(), Receipt(received=3, parts=NO_PARTS)

    assert (record, None) == (AlreadyExists("taken", record).existing, AlreadyExists("taken").existing)
    assert (receipt, None) == (NoSpace("full", receipt).receipt, NoSpace("full").receipt)
