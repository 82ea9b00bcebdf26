"""Positions of events in stores that number them."""

from __future__ import annotations

from holdfast.storage.errors import UnknownPosition

# More events than any store will ever have.
_MAX_POSITION = 2**63 - 1


def parse_position(position: str) -> int:
    """
    Return the number of an event's position; "" is before the first.

    :raises UnknownPosition: *position* is malformed.
    """
    if not position:
        return 0
    if not (position.isascii() and position.isdecimal() and len(position) <= len(str(_MAX_POSITION))):
        raise UnknownPosition("this is not the position of an event")
    return min(int(position), _MAX_POSITION)
