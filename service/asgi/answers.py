"""
Bounds the memory of large answers while clients read them.

A small answer goes to the server in one message.  A larger one, such as an image, goes out in blocks: the connection holds one
block, this module holds the answer, and clients that get the same content share one copy.

All copies together have a bound.  When it is reached, the connections of clients that have read nothing for a while are cut.  If
every client reads, however slowly, the server refuses the next large answer and the client retries.
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
    """A large answer that is being sent; *cut* closes its connection."""

    def __init__(self, answers: LargeAnswers, content: bytes, cut: Callable[[], None]) -> None:
        self._answers = answers
        self.content = content
        self.cut = cut
        self.read_at = time.monotonic()
        """When the client was last known to read (monotonic)."""

    def blocks(self) -> Iterator[memoryview]:
        """Yield the content in blocks; the caller must have sent each block before it takes the next."""
        whole = memoryview(self.content)
        for at in range(0, len(whole), BLOCK):
            self.read_at = time.monotonic()
            yield whole[at : at + BLOCK]

    def end(self) -> None:
        """Release the memory."""
        self._answers.forget(self)


class LargeAnswers:
    """The large answers of a process: at most *budget* bytes together; a single one may be larger."""

    def __init__(self, budget: int = BUDGET) -> None:
        self._budget = budget
        self._under_way: dict[LargeAnswer, None] = {}

    @property
    def held(self) -> int:
        """How many bytes are held in memory."""
        return sum({id(answer.content): len(answer.content) for answer in self._under_way}.values())

    def shared(self, content: bytes) -> bytes:
        """Return the copy of *content* that is already being sent, or *content* itself."""
        size = len(content)
        for other in self._under_way:
            if len(other.content) == size and other.content == content:
                return other.content
        return content

    def begin(self, content: bytes, cut: Callable[[], None]) -> LargeAnswer | None:
        """Return the answer with *content*; None if there is no room for it."""
        if not any(other.content is content for other in self._under_way) and not self._make_room(len(content)):
            return None
        answer = LargeAnswer(self, content, cut)
        self._under_way[answer] = None
        return answer

    def forget(self, answer: LargeAnswer) -> None:
        """Stop counting *answer*."""
        self._under_way.pop(answer, None)

    def _make_room(self, size: int) -> bool:
        """Disconnect stalled clients, longest first, until there is room for *size* bytes; return whether there is."""
        while self._under_way and self.held + size > self._budget:
            stalled = min(self._under_way, key=lambda answer: answer.read_at)
            if time.monotonic() - stalled.read_at < STALLED:
                return False
            self.forget(stalled)
            stalled.cut()
        return True
