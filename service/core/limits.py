"""
The bounds of an upload, as one value.
"""

from __future__ import annotations

from dataclasses import dataclass

MiB = 1024 * 1024
TiB = 1024 * 1024 * MiB
SECONDS = 1.0
HOURS = 3600 * SECONDS
DAYS = 24 * HOURS


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an upload may be, and how long things may take (bytes, seconds)."""

    max_size: int = 1 * TiB
    idle_expiry: float = 24 * HOURS
    """An unfinished upload is given up this long after its last progress."""
    final_expiry: float = 7 * DAYS
    """… and this long after its creation in any case."""
    unattached_expiry: float | None = None
    """An attachment that was never in a slot is purged this long after it was complete.  None: never."""
    link_life: float = 1 * HOURS
    """The longest that a signed URL may hold; what leaves its last slot is kept for that at least."""
    eviction_wait: float = 3 * SECONDS
    """How long a newcomer waits for the holder of an upload to keep its bytes and let go."""
    finish_retry: float = 60 * SECONDS
    """When the sweeper takes up a finish that failed or was interrupted."""
    longest_retry: float = 1 * HOURS
    """… and again after twice the time, each time that it fails, up to this."""
    checkpoint_bytes: int = 32 * MiB
    checkpoint_seconds: float = 5 * SECONDS
    """A long append records its offset this often, so that a crash of this process costs a client no more than that."""
