"""
Sizes as people write them.
"""

from __future__ import annotations

import re

KiB = 1024
MiB = 1024 * KiB
GiB = 1024 * MiB

UNITS = {"": 1, "k": KiB, "m": MiB, "g": GiB}
# SIZE = 1*DIGIT [ "K" / "M" / "G" [ "iB" ] ]
SIZE = re.compile(r"(\d+) ?(?:([kmg])(?:ib)?)?", re.IGNORECASE)


def parse_size(text: str) -> int:
    """
    Return the bytes that *text* means: ``4096``, ``64K``, ``1GiB``.

    :raises ValueError: it is no size.
    """
    match = SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text} is not a size: write 4096, 64KiB, 512MiB or 1GiB")
    return int(match[1]) * UNITS[(match[2] or "").lower()]


def format_size(count: int) -> str:
    """Return *count* bytes in the largest unit that leaves no fraction."""
    for name, unit in (("GiB", GiB), ("MiB", MiB), ("KiB", KiB)):
        if count and count % unit == 0:
            return f"{count // unit} {name}"
    return f"{count} bytes"
