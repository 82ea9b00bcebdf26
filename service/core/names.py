"""
Names as clients give them: of files, kept for display and never used as a path; and of objects and accounts.
"""

from __future__ import annotations

import re
import unicodedata

MAX_CHARACTERS = 255
# What the kinds of objects, the objects themselves and their slots may be called: patterns for the whole of a name.
KIND = "[a-z][a-z0-9_]{0,63}"
ID = "[0-9A-Za-z._~=+-]{1,255}"
SLOT = "[A-Za-z][0-9A-Za-z_]{0,63}"
_HEX = "[0-9a-f]"
_BARE_GUID = rf"({_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}})"
_GUID = re.compile(rf"{_BARE_GUID}|\{{{_BARE_GUID}\}}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def has_control(name: str) -> bool:
    """
    Say whether *name* has characters that move a cursor or turn the direction of writing.
    """
    return _CONTROL.search(name) is not None


def is_too_long(name: str) -> bool:
    """
    Say whether *name* has more than `MAX_CHARACTERS` characters, in whichever normal form it comes.

    Some systems write "é" as one character and some as two (UAX #15), so the shortest form counts.
    """
    return len(name) > MAX_CHARACTERS and len(unicodedata.normalize("NFC", name)) > MAX_CHARACTERS


def basename(name: str) -> str | None:
    """
    Return the last segment of *name*, whichever system's separators it has; None if that leaves nothing.
    """
    last = re.split(r"[/\\]", name)[-1].strip()
    return last if last not in ("", ".", "..") else None


def display_name(name: str) -> str | None:
    """
    Return a file name that can be shown and offered for download, made of whatever a client sent.
    """
    clean = _CONTROL.sub("", name)
    last = basename(clean)
    if last is None or not is_too_long(last):
        return last
    return unicodedata.normalize("NFC", last)[:MAX_CHARACTERS]


def canonical_guid(value: str) -> str | None:
    """
    Return a GUID (RFC 9562, section 4) in lower case, without the braces that some write around it; None if it is none.
    """
    match = _GUID.fullmatch(value.lower())
    return None if match is None else match[1] or match[2]


def is_kind(text: str) -> bool:
    """
    Say whether *text* can be the name of a kind of objects.
    """
    return re.fullmatch(KIND, text) is not None


def is_slot(text: str) -> bool:
    """
    Say whether *text* can be the name of a slot.
    """
    return re.fullmatch(SLOT, text) is not None


def object_id(text: str) -> str | None:
    """
    Return an id of an object in its one spelling, for a GUID is the same however it is written; None if it is no id.
    """
    return canonical_guid(text) or (text if re.fullmatch(ID, text) else None)
