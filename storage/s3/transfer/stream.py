"""A range of an object, which resumes when a connection is lost."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

from holdfast.storage.errors import Corrupted
from holdfast.storage.s3.errors import Passing

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import type_defs

KiB = 1024

BLOCK = 256 * KiB
# Connections in a row that bring nothing.  Those that bring something may be any number: servers drop slow readers now and
# then.
TIMES = 5


class Caller(Protocol):
    """Runs blocking work on a thread; *what* names the work in errors."""

    def __call__(self, what: str, work: Callable[[], Any]) -> Awaitable[Any]: ...


class Stream:
    """The bytes of an object from *start* up to *stop*."""

    def __init__(
        self,
        get: Callable[[int, int], type_defs.GetObjectOutputTypeDef],
        persist: Caller,
        once: Caller,
        start: int,
        stop: int,
        name: str,
    ) -> None:
        self._get = get
        self._persist = persist
        self._once = once
        self._at = start
        self._stop = stop
        self._name = name
        self._body: StreamingBody | None = None
        self._times = 0

    async def begin(self) -> None:
        """
        Request the remaining bytes.

        :raises NotFound, Corrupted: the object does not exist, or ends early.
        """
        self.close()
        self._times += 1
        bodies: list[StreamingBody] = []

        def get() -> None:
            answer = self._get(self._at, self._stop)
            length = answer.get("ContentLength")
            if length != self._stop - self._at:
                answer["Body"].close()
                if length is None:
                    raise Passing(f"the answer with {self._name} was cut off")
                raise Corrupted(f"{self._name} ends before {self._stop}")
            bodies.append(answer["Body"])

        try:
            await self._persist(f"reading {self._name}", get)
        finally:
            # Also if the caller was cancelled meanwhile.
            self._body = bodies[0] if bodies else None

    async def blocks(self) -> AsyncGenerator[memoryview, None]:
        """
        Yield the bytes in blocks.  The stream is closed at the end, or when the generator is closed.

        :raises Unavailable: the connection was lost too often.
        """
        try:
            while self._at < self._stop:
                try:
                    block = await self._once(f"reading {self._name}", self._read)
                except Passing:
                    if self._times >= TIMES:
                        raise
                    await self.begin()
                    continue
                self._at += len(block)
                self._times = 0
                yield memoryview(block)
        finally:
            self.close()

    def close(self) -> None:
        """Close the connection."""
        if self._body is not None:
            self._body.close()
            self._body = None

    def _read(self) -> bytes:
        if self._body is None:
            raise Passing(f"the connection to {self._name} is closed")
        block = self._body.read(min(BLOCK, self._stop - self._at))
        if not block:
            raise Passing(f"{self._name} was cut off at {self._at}")
        return block
