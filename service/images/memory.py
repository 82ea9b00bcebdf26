"""
Returns freed memory to the system.

The allocator of glibc keeps what threads free for their next allocations: after a few large images that is a gigabyte, for as
long as the process lives.  And once something large was freed, it even takes large blocks from the heaps of threads, which it
never returns.  So it gets a threshold above which memory comes straight from the system, and returns there at once.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import suppress

LARGE = 2 * 1024 * 1024  # bytes; larger than the blocks of uploads
M_MMAP_THRESHOLD = -3  # malloc.h; once set, it does not adapt any more

_trim: Callable[[int], int] | None = None
with suppress(OSError, AttributeError):  # other allocators do not need this
    _trim = ctypes.CDLL(None).malloc_trim
    ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE)


def give_back() -> None:
    """Return free memory to the system; takes well under a millisecond if there is little."""
    if _trim is not None:
        _trim(0)
