"""
What the words for refusals promise.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from holdfast.service.core import errors
from holdfast.service.core.errors import LengthMismatch, OffsetMismatch, TooLarge, UploadError
from holdfast.service.core.store_errors import STORAGE_ERRORS, translated
from holdfast.storage.errors import AlreadyExists, StorageError
from tests.storage.backends import new_upload


def descendants(kind: type[Exception]) -> Iterator[str]:
    """Yield the names of all kinds of *kind*."""
    for child in kind.__subclasses__():
        yield child.__name__
        yield from descendants(child)


def test_the_tree_is_drawn() -> None:
    """The docstring of the module draws every error, and no other."""
    drawn = [line.strip("├└─│ ").split(" ")[0] for line in (errors.__doc__ or "").splitlines() if "──" in line]

    assert list(descendants(UploadError)) == drawn


def test_facts_come_along() -> None:
    """An error carries what an answer is made of."""
    record = new_upload(offset=4)

    assert (record, 7) == (OffsetMismatch(record, 7).record, OffsetMismatch(record, 7).provided)
    assert (record, 9) == (LengthMismatch("no", record, 9).record, LengthMismatch("no", record, 9).provided)
    assert (None, 5) == (TooLarge(5).record, TooLarge(5).limit)


@pytest.mark.parametrize("kind", StorageError.__subclasses__(), ids=lambda kind: kind.__name__)
def test_trouble_of_stores_has_a_name_here(kind: type[StorageError]) -> None:
    """What a store raises becomes an upload error without the store's own words; only creation meets a name that is taken."""
    if kind is AlreadyExists:
        assert kind not in STORAGE_ERRORS
        return
    with pytest.raises(UploadError) as caught, translated():
        raise kind("/a/path")

    assert STORAGE_ERRORS[kind] == (type(caught.value), str(caught.value))
