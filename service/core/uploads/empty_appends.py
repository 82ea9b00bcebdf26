"""Bounds appends that bring an upload nothing: each is answered, but not an endless series of them."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from holdfast.service.core.content.content import Content
from holdfast.service.core.errors import AppendsEmpty
from holdfast.storage.records import Ref, State, UploadRecord

SECONDS = 1.0
MOST = 100
"""The longest series that is answered: a client that probes, or whose source pauses, sends a few."""
PAUSE = 5 * SECONDS
"""Seconds without an empty append after which the next one begins another series."""
REMEMBERED = 4096  # uploads


class EmptyAppends:
    """
    The series of one process.

    They are not stored: an empty append changes nothing, so it costs no commit and extends no expiry.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rows: OrderedDict[Ref, tuple[int, float]] = OrderedDict()

    def count(self, before: UploadRecord, after: UploadRecord, content: Content) -> None:
        """
        Count an append that turned *before* into *after*.

        :raises AppendsEmpty: the series is too long.
        """
        if after != before or after.state is not State.OPEN or not content.ended:
            if self._rows:
                self._rows.pop(after.ref, None)
            return
        now = self._clock()
        length, last = self._rows.pop(after.ref, (0, now))
        length = length + 1 if now - last < PAUSE else 1
        self._rows[after.ref] = length, now
        if len(self._rows) > REMEMBERED:
            self._rows.popitem(last=False)
        if length > MOST:
            raise AppendsEmpty(f"more than {MOST} appends in a row had no content; send the content, or wait", after)
