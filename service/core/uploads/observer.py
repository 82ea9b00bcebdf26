"""Reports how an append goes on: what became durable, and how it ended."""

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
    The receiver of an append's reports: a 104 response, a progress event, a counter.

    It is called in the event loop while the append waits, so it must not block.  What it raises is logged, and the append goes
    on without it.
    """

    def advanced(self, record: UploadRecord) -> None:
        """
        Every byte before *record.offset* is durable, and the offset is recorded: no crash takes it back.

        The first call has the offset at which the append begins; each later one has a larger offset.  Content that repeats
        stored bytes does not advance.
        """
        ...

    def ended(self, record: UploadRecord, stopped: Stop | None, error: BaseException | None) -> None:
        """
        The append, which had begun, has ended; called once.

        *record* is the upload now, as far as the append knows: complete if it was finished, or with a smaller offset than
        before if the store has lost bytes.  *stopped* is what cut the content off, *error* what the append raises.
        """
        ...


class Report:
    """Passes the reports of one append to its observer: in order, once, and without letting the observer's errors through."""

    def __init__(self, observer: Observer) -> None:
        self._observer: Observer | None = observer
        self._last: UploadRecord | None = None

    def advanced(self, record: UploadRecord) -> None:
        """Report a recorded offset, if it is larger than before."""
        if self._observer is None or (self._last is not None and record.offset <= self._last.offset):
            return
        self._last = record
        self._call(self._observer.advanced, record)

    def ended(self, record: UploadRecord | None, stopped: Stop | None, error: BaseException | None = None) -> None:
        """Report the end of an append that had begun; without a *record*, the last reported one."""
        if self._observer is not None and self._last is not None:
            self._call(self._observer.ended, record or self._last, stopped, error)

    def _call(self, report: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            report(*args, **kwargs)
        except Exception:
            logger.exception("the observer of an append failed; the append goes on without it")
            self._observer = None
