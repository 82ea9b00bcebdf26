"""
What names promise.
"""

from __future__ import annotations

from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.service.core.names import (
    MAX_CHARACTERS,
    basename,
    display_name,
    has_control,
    is_kind,
    is_slot,
    is_too_long,
    object_id,
)

everything = st.text(st.characters(codec=None, exclude_categories=[]))


@pytest.mark.parametrize(
    ("given_name", "shown"),
    [
        ("kelp.png", "kelp.png"),
        ("  kelp.png ", "kelp.png"),
        ("C:\\fakepath\\kelp.png", "kelp.png"),
        ("../../etc/passwd", "passwd"),
        ("a/b\\c", "c"),
        ("kelp\r\nSet-Cookie: a=b", "kelpSet-Cookie: a=b"),
        ("gnp\u202efdp.exe", "gnpfdp.exe"),
        ("kelp\x00.png", "kelp.png"),
        ("\ud800kelp", "kelp"),
        ("\u6d77\u85fb.png", "\u6d77\u85fb.png"),
        ("..\u202e", None),
        ("", None),
        (".", None),
        ("..", None),
        ("a/", None),
        ("   ", None),
    ],
)
def test_display_name(given_name: str, shown: str | None) -> None:
    """A name is shown without its path and without characters that lie."""
    assert shown == display_name(given_name)


@given(everything)
def test_any_name_can_be_shown(name: str) -> None:
    """Whatever a client sends, the shown name is short, printable, no path, and shown the same the next time."""
    shown = display_name(name)
    if shown is not None:
        assert not has_control(shown)
        assert not is_too_long(shown)
        assert not {"/", "\\"} & set(shown)
        assert shown not in ("", ".", "..")
        assert shown.strip() in (display_name(shown), "")


@pytest.mark.parametrize("character", ["k", "\u00e9", "e\u0301", "\u6d77", "\U0001f41f", "\u1112\u1161\u11ab"])
def test_long_names_end_at_a_character(character: str) -> None:
    """A name has 255 characters at most, however many bytes and in whichever normal form; a longer one is cut."""
    longest = character * MAX_CHARACTERS

    assert not is_too_long(longest)
    assert longest == display_name(longest)
    assert is_too_long(longest + "k")
    assert normalize("NFC", longest) == display_name(longest + "kelp")


@pytest.mark.parametrize("name", ["a\nb", "a\x7fb", "a\x85b", "a\u2028b", "a\u202eb", "a\u2066b", "\udfff"])
def test_has_control(name: str) -> None:
    """What moves a cursor, turns the direction of writing or is half a character is found."""
    assert has_control(name)
    assert not has_control("kelp \u6d77\u85fb.png")


@given(everything)
def test_basename_is_no_path(name: str) -> None:
    """A last segment has no separator, and is not one of the names that lead elsewhere."""
    last = basename(name)

    assert last is None or (last not in ("", ".", "..") and not {"/", "\\"} & set(last))


GUID = "6f9619ff-8b86-d011-b42d-00cf4fc964ff"


@pytest.mark.parametrize(
    ("text", "identifier"),
    [
        (GUID, GUID),
        (f"{{{GUID.upper()}}}", GUID),
        ("AbC.1_~=+-", "AbC.1_~=+-"),
        ("a" * 255, "a" * 255),
        ("a" * 256, None),
        ("", None),
        ("a/b", None),
        ("a\n", None),
        ("\u00e4", None),
    ],
)
def test_object_id(text: str, identifier: str | None) -> None:
    """An id has one spelling, which is that of the client but for a GUID."""
    assert identifier == object_id(text)


@pytest.mark.parametrize(
    ("text", "kind", "slot"),
    [
        ("user", True, True),
        ("ProfilePhoto", False, True),
        ("a_1", True, True),
        ("1a", False, False),
        ("", False, False),
        ("a\n", False, False),
        ("a-b", False, False),
        ("a" * 64, True, True),
        ("a" * 65, False, False),
    ],
)
def test_kinds_and_slots(text: str, kind: bool, slot: bool) -> None:
    """The whole of a name is looked at, and it has a bound."""
    assert (kind, slot) == (is_kind(text), is_slot(text))
