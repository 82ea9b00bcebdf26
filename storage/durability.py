"""
How durable content and records are before the server acknowledges them.
"""

from __future__ import annotations

import enum


class Durability(enum.StrEnum):
    """When bytes and facts must have reached the disk: before each acknowledged offset, at completion, or never."""

    ACKNOWLEDGED = "acknowledged"
    COMPLETE = "complete"
    NONE = "none"
