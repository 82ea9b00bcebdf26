"""How durable content and records are before the server acknowledges them."""

from __future__ import annotations

import enum


class Durability(enum.StrEnum):
    """When content and records must be on the disk: before each acknowledged offset, at completion, or never."""

    ACKNOWLEDGED = "acknowledged"
    COMPLETE = "complete"
    NONE = "none"
