"""Keys: the server makes them, never a client, so a path or object name made of one cannot leave its folder."""

from __future__ import annotations

import re
import secrets
import string

from holdfast.storage.records import Key

LENGTH = 10
ALPHABET = string.digits + string.ascii_letters
_KEY = re.compile(r"[0-9A-Za-z]{10}")


def new_key() -> Key:
    """Return a key that cannot be guessed: one of 62¹⁰, from the operating system's random generator."""
    number, characters = secrets.randbelow(len(ALPHABET) ** LENGTH), []
    for _ in range(LENGTH):
        number, place = divmod(number, len(ALPHABET))
        characters.append(ALPHABET[place])
    return Key("".join(characters))


def parse_key(text: str) -> Key | None:
    """Return *text* as a key, or None if it cannot be one."""
    return Key(text) if _KEY.fullmatch(text) else None


def shard(key: Key) -> str:
    """Return the folder of a key: one of 3,844, by its first two characters."""
    return key[:2]
