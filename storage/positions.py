"""
Positions of events, in stores that count these.
"""

from __future__ import annotations

from holdfast.storage.errors import UnknownPosition

# More events than any store will ever have.
_MAX_POSITION = 2**63 - 1


def parse_position(position: str) -> int:
    """
    Return a position of stores that count their events; an empty one is before the first.

    :raises UnknownPosition: it is none.
    """
    if not position:
        return 0
    if not (position.isascii() and position.isdecimal() and len(position) <= len(str(_MAX_POSITION))):
        raise UnknownPosition("this is no position of an event")
    return min(int(position), _MAX_POSITION)
