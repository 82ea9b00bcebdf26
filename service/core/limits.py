"""The bounds of an upload, as one value."""

from __future__ import annotations

from dataclasses import dataclass

MiB = 1024 * 1024
TiB = 1024 * 1024 * MiB
SECONDS = 1.0
HOURS = 3600 * SECONDS
DAYS = 24 * HOURS


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of uploads, and timeouts (bytes, seconds)."""

    max_size: int = 1 * TiB
    idle_expiry: float = 24 * HOURS
    """How long after its last progress an unfinished upload expires."""
    final_expiry: float = 7 * DAYS
    """… and how long after its creation, in any case."""
    unattached_expiry: float | None = None
    """How long an attachment that was never in a slot is kept after its completion; None means for ever."""
    link_life: float = 1 * HOURS
    """The longest life of a signed URL; what leaves its last slot is kept at least that long."""
    eviction_wait: float = 3 * SECONDS
    """How long a new holder waits until the previous one has stored its bytes and let go."""
    finish_retry: float = 60 * SECONDS
    """When the sweeper repeats a finish that failed or was interrupted."""
    longest_retry: float = 1 * HOURS
    """… then after twice the time with each failure, up to this."""
    checkpoint_bytes: int = 32 * MiB
    checkpoint_seconds: float = 5 * SECONDS
    """How often a long append records its offset: a crash of this process costs a client no more than that."""
