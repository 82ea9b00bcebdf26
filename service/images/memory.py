"""
Memory that is given back.

The allocator of glibc keeps what threads freed for the next that they need; of a few large images that is a gigabyte, for
as long as the process lives.  And once something large was freed, it takes even what is large from the heaps of threads, whose
ends it never gives back.  So it gets a bound from which on memory comes from the system and goes back there at once.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import suppress

LARGE = 2 * 1024 * 1024  # bytes; what passes through uploads is smaller
M_MMAP_THRESHOLD = -3  # malloc.h; once set, it stays as it is

_trim: Callable[[int], int] | None = None
with suppress(OSError, AttributeError):  # with another allocator there is nothing to be done, nor to be said
    _trim = ctypes.CDLL(None).malloc_trim
    ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE)


def give_back() -> None:
    """
    Give memory that is free back to the system; this takes well under a millisecond when there is little.
    """
    if _trim is not None:
        _trim(0)
