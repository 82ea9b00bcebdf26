"""
Bounds the memory of documents that a process holds whole while it receives them.

A document holds room for the bytes that came, not for those that its client announced.  When its next bytes do not fit, it is
refused at once, and the others go on: no document waits for another while it holds room.  Each client has a share of the room.
A document larger than the room or the share is accepted while it is the only one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

from holdfast.service.protocols.http.wire import RETRY_AFTER, ProtocolError

MiB = 1024 * 1024
BUDGET = 64 * MiB
SHARE = BUDGET // 2

Hold = Callable[[int], None]
"""Holds room for so many more bytes of a document; raises ProtocolError (503) if there is none."""


class DocumentRoom:
    """At most *budget* bytes of documents, at most *share* bytes per client."""

    def __init__(self, budget: int = BUDGET, share: int = SHARE) -> None:
        self._budget = budget
        self._share = share
        self._held = 0
        self._of: Counter[Hashable] = Counter()

    @contextmanager
    def document(self, client: Hashable | None) -> Iterator[Hold]:
        """Hold the room of one document until the context ends; *client* is None if the server cannot tell clients apart."""
        own = 0

        def hold(size: int) -> None:
            nonlocal own
            of_client = self._of[client] if client is not None else 0
            is_full = self._held > own and self._held + size > self._budget
            if is_full or (of_client > own and of_client + size > self._share):
                message = "the server is receiving too many documents with images; try again in a moment"
                raise ProtocolError(503, "documents_waiting", message, (("Retry-After", RETRY_AFTER),))
            own += size
            self._held += size
            self._of[client] += size

        try:
            yield hold
        finally:
            self._held -= own
            self._of[client] -= own
            if not self._of[client]:
                del self._of[client]
