"""
Hears how an append goes on: what became durable, and how the append ended.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import ParamSpec, Protocol

from holdfast.service.core.content.content import Stop
from holdfast.storage.records import UploadRecord

logger = logging.getLogger("holdfast")
P = ParamSpec("P")


class Observer(Protocol):
    """
    What an append reports to: a 104 response, a progress event, a counter.

    It is called in the event loop, while the append waits: it returns at once.  What it raises is logged, and the append goes on
    without it.
    """

    def advanced(self, record: UploadRecord) -> None:
        """
        Hear that every byte before *record.offset* is durable, and that the offset is recorded: no crash takes it back.

        The first call says where the append begins; each one after that has a larger offset.  Content that repeats stored bytes
        does not advance.
        """
        ...

    def ended(self, record: UploadRecord, stopped: Stop | None, error: BaseException | None) -> None:
        """
        Hear once that the append, which had begun, has ended, and how.

        *record* is the upload as it is now, as far as the append knows: complete when it was finished; with a smaller offset than
        before when the store has lost bytes.  *stopped* says what cut the content off.  *error* is what the append raises.
        """
        ...


class Report:
    """
    What one append reports to its observer: in order, only once, and no error of the observer reaches the append.
    """

    def __init__(self, observer: Observer) -> None:
        self._observer: Observer | None = observer
        self._last: UploadRecord | None = None

    def advanced(self, record: UploadRecord) -> None:
        """
        Report what is recorded, where that is more than before.
        """
        if self._observer is None or (self._last is not None and record.offset <= self._last.offset):
            return
        self._last = record
        self._call(self._observer.advanced, record)

    def ended(self, record: UploadRecord | None, stopped: Stop | None, error: BaseException | None = None) -> None:
        """
        Report the end of an append that had begun; None: *record* is the one that was reported last.
        """
        if self._observer is not None and self._last is not None:
            self._call(self._observer.ended, record or self._last, stopped, error)

    def _call(self, hear: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            hear(*args, **kwargs)
        except Exception:
            logger.exception("the observer of an append failed; the append goes on without it")
            self._observer = None
