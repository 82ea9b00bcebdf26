"""
The extension that `holdfast.service.server` adds to ``scope["extensions"]``; with other servers everything works without it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from starlette.types import Scope

from holdfast.service.asgi.receiving.buffers import Buffers

EXTENSION = "holdfast"


class Intake(Protocol):
    """The source of a request's content, gathered into blocks."""

    received: int
    """Bytes received so far."""
    held: int
    """Received bytes that `take` has not returned."""
    complete: bool
    """Whether all of the content was received."""
    lost: bool
    """Whether the connection ended before the content was complete."""

    @property
    def is_ready(self) -> bool:
        """Whether a whole block, or the last one, can be taken."""
        ...

    async def fill(self) -> None:
        """Release the block that was taken last, and wait until `is_ready` or `interrupt`."""
        ...

    async def some(self) -> None:
        """Wait until more bytes are received, or none will be."""
        ...

    def take(self) -> memoryview:
        """Return the held bytes, maybe none; they are valid until the next call of any of these methods."""
        ...

    def take_rest(self) -> None:
        """Hold also the bytes that the server received but did not deliver."""
        ...

    def interrupt(self) -> None:
        """Make a waiting `fill` return now."""
        ...

    def close(self) -> None:
        """Release all buffers."""
        ...


class ConnectionExtension(Protocol):
    """The extension of one request."""

    on_shutdown: Callable[[], None] | None
    """Called when the server begins to shut down."""

    @property
    def has_all(self) -> bool:
        """Whether the server received all of the content and delivered none of it."""
        ...

    def remains(self) -> tuple[bytes, bool]:
        """Return the bytes received but not delivered by ``receive()``, and whether they end the content."""
        ...

    def hand_over(self, length: int, buffers: Buffers) -> Intake | None:
        """
        Return the content, *length* bytes, read straight from the connection into *buffers*.

        From then on ``receive()`` delivers nothing.  None if the connection or its state does not allow it.
        """
        ...

    @property
    def sends_files(self) -> bool:
        """Whether `send_file` works on this connection."""
        ...

    async def send_file(self, descriptor: int, start: int, stop: int, patience: float) -> None:
        """
        Send bytes *start* to *stop* (exclusive) of a file as content; the head, with Content-Length, was sent before.

        :raises TimeoutError: the client did not read for *patience* seconds.
        :raises ConnectionError: the client disconnected.
        :raises EOFError: the file is shorter.
        """
        ...

    def abort(self) -> None:
        """Close the connection without completing the response."""
        ...


def extension_of(scope: Scope) -> ConnectionExtension | None:
    """Return the extension of this request; None if the server has none."""
    extension: ConnectionExtension | None = scope.get("extensions", {}).get(EXTENSION)
    return extension
