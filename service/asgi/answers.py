"""
Large answers on their way to clients, and the memory that they hold meanwhile.

Theory of operation
-------------------

An answer of a few kilobytes is given to the server at once.  A larger one, as an image, goes out in blocks, and the next block
waits until the client has read: so the connection holds a block, and the answer is held here.  All clients that are sent the same
content share one copy of it.

All these copies together have a bound.  Where it is reached, clients that have read nothing for a while make room: their
connections are cut.  Where all of them read, however slowly, one more large answer is refused, and the client tries again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

KiB = 1024
MiB = 1024 * KiB
SECONDS = 1.0

BLOCK = 64 * KiB
BUDGET = 64 * MiB
STALLED = 10 * SECONDS


class LargeAnswer:
    """
    A large answer on its way; *cut* ends its connection.
    """

    def __init__(self, answers: LargeAnswers, content: bytes, cut: Callable[[], None]) -> None:
        self._answers = answers
        self.content = content
        self.cut = cut
        self.read_at = time.monotonic()
        """When the client was last known to read (monotonic)."""

    def blocks(self) -> Iterator[memoryview]:
        """
        Yield the content in blocks; the caller has sent a block when it takes the next one.
        """
        whole = memoryview(self.content)
        for at in range(0, len(whole), BLOCK):
            self.read_at = time.monotonic()
            yield whole[at : at + BLOCK]

    def end(self) -> None:
        """
        Hold nothing any more.
        """
        self._answers.forget(self)


class LargeAnswers:
    """
    The large answers of a process, which hold at most *budget* bytes; one alone may be larger.
    """

    def __init__(self, budget: int = BUDGET) -> None:
        self._budget = budget
        self._under_way: dict[LargeAnswer, None] = {}

    @property
    def held(self) -> int:
        """How many bytes are held in memory."""
        return sum({id(answer.content): len(answer.content) for answer in self._under_way}.values())

    def shared(self, content: bytes) -> bytes:
        """
        Return *content*, as the copy that others are being sent already, if there is one.
        """
        size = len(content)
        for other in self._under_way:
            if len(other.content) == size and other.content == content:
                return other.content
        return content

    def begin(self, content: bytes, cut: Callable[[], None]) -> LargeAnswer | None:
        """
        Return the answer with *content*; None where there is no room for it.
        """
        if not any(other.content is content for other in self._under_way) and not self._make_room(len(content)):
            return None
        answer = LargeAnswer(self, content, cut)
        self._under_way[answer] = None
        return answer

    def forget(self, answer: LargeAnswer) -> None:
        """
        Count *answer* no more.
        """
        self._under_way.pop(answer, None)

    def _make_room(self, size: int) -> bool:
        """Cut off clients that read nothing, longest first, until there is room for *size* bytes; return whether there is."""
        while self._under_way and self.held + size > self._budget:
            stalled = min(self._under_way, key=lambda answer: answer.read_at)
            if time.monotonic() - stalled.read_at < STALLED:
                return False
            self.forget(stalled)
            stalled.cut()
        return True
