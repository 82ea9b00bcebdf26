"""
What things are called in a bucket.
"""

from __future__ import annotations

import pytest

from holdfast.storage.records import Key
from holdfast.storage.s3.options import ObjectNames

KEY = Key("abCDEfgh12")


def test_names() -> None:
    """Content and pieces of an upload are found by its key, and each has a name that nobody else has."""
    names = ObjectNames("photos/")
    content, piece = names.of(KEY, names.new_content()), names.of(KEY, names.new_piece(17))

    assert content.startswith("photos/attachments/ab/abCDEfgh12-")
    assert piece.startswith("photos/tail/abCDEfgh12/17-")
    assert "photos/attachments/ab/abCDEfgh12" == names.of(KEY, "")
    assert names.new_content() != names.new_content()
    assert names.new_piece(17) != names.new_piece(17)


@pytest.mark.parametrize("prefix", ["", "photos/", "a.b*/"])
def test_keys_of_names(prefix: str) -> None:
    """A name tells the upload that it belongs to."""
    names = ObjectNames(prefix)
    for end in ("", names.new_content(), names.new_piece(0)):
        assert KEY == names.key_of(names.of(KEY, end))
        assert any(names.of(KEY, end).startswith(each) for each in names.prefixes)


@pytest.mark.parametrize(
    "name", ["", "attachments/ab/abCDEfgh1", "attachments/ab/abCDEfgh123", "tail/abCDEfgh1!/1-a", "other/ab/abCDEfgh12", "x"]
)
def test_names_of_others(name: str) -> None:
    """What is not named as the store names things is nobody's."""
    assert None is ObjectNames("").key_of(name)
    assert None is ObjectNames("photos/").key_of(f"films/{name}")
