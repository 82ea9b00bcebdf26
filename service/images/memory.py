"""
Memory that is given back.

The allocator of glibc keeps what threads freed for the next that they need; of a few large images that is a gigabyte, for
as long as the process lives.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import suppress

_trim: Callable[[int], int] | None = None
with suppress(OSError, AttributeError):  # with another allocator there is nothing to be done, nor to be said
    _trim = ctypes.CDLL(None).malloc_trim


def give_back() -> None:
    """
    Give memory that is free back to the system; this takes well under a millisecond when there is little.
    """
    if _trim is not None:
        _trim(0)
