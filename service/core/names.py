"""Names given by clients: of files, for display and never used as a path; and of objects and accounts."""

from __future__ import annotations

import re
import unicodedata

MAX_CHARACTERS = 255
# Patterns for the names of kinds of objects, of objects and of their slots.
KIND = "[a-z][a-z0-9_]{0,63}"
ID = "[0-9A-Za-z._~=+-]{1,255}"
SLOT = "[A-Za-z][0-9A-Za-z_]{0,63}"
_HEX = "[0-9a-f]"
_BARE_GUID = rf"({_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}})"
_GUID = re.compile(rf"{_BARE_GUID}|\{{{_BARE_GUID}\}}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def has_control(name: str) -> bool:
    """Say whether *name* has characters that move the cursor or change the writing direction."""
    return _CONTROL.search(name) is not None


def is_too_long(name: str) -> bool:
    """
    Say whether *name* has more than `MAX_CHARACTERS` characters, in its shortest normal form.

    Some systems write "é" as one character and some as two (UAX #15).
    """
    return len(name) > MAX_CHARACTERS and len(unicodedata.normalize("NFC", name)) > MAX_CHARACTERS


def basename(name: str) -> str | None:
    """Return the last segment of *name*, with the separators of any system; None if nothing remains."""
    last = re.split(r"[/\\]", name)[-1].strip()
    return last if last not in ("", ".", "..") else None


def display_name(name: str) -> str | None:
    """Return a file name that is safe to show and to offer for download, made from a client's name; None if nothing remains."""
    clean = _CONTROL.sub("", name)
    last = basename(clean)
    if last is None or not is_too_long(last):
        return last
    return unicodedata.normalize("NFC", last)[:MAX_CHARACTERS]


def canonical_guid(value: str) -> str | None:
    """Return a GUID (RFC 9562, section 4) in lower case and without braces; None if *value* is none."""
    match = _GUID.fullmatch(value.lower())
    return None if match is None else match[1] or match[2]


def is_kind(text: str) -> bool:
    """Say whether *text* can be the name of a kind of objects."""
    return re.fullmatch(KIND, text) is not None


def is_slot(text: str) -> bool:
    """Say whether *text* can be the name of a slot."""
    return re.fullmatch(SLOT, text) is not None


def object_id(text: str) -> str | None:
    """Return the canonical form of an object id, since GUIDs may be written in several ways; None if *text* is no id."""
    return canonical_guid(text) or (text if re.fullmatch(ID, text) else None)
