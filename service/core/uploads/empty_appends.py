"""
Appends that bring an upload nothing: each is answered, but a row of them without an end is not.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from holdfast.service.core.content.content import Content
from holdfast.service.core.errors import AppendsEmpty
from holdfast.storage.records import Ref, State, UploadRecord

SECONDS = 1.0
MOST = 100
"""So many in a row are answered: a client that probes, or whose source pauses, sends a few."""
PAUSE = 5 * SECONDS
"""After this without one, the next begins another row."""
REMEMBERED = 4096  # uploads


class EmptyAppends:
    """
    The rows of one process.

    They are not stored: an append that brings nothing changes nothing, and so costs no commit and puts off no expiry.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rows: OrderedDict[Ref, tuple[int, float]] = OrderedDict()

    def count(self, before: UploadRecord, after: UploadRecord, content: Content) -> None:
        """
        Take note of an append that made *before* into *after*.

        :raises AppendsEmpty: it is one too many of those that brought nothing.
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
