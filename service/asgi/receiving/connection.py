"""
What `holdfast.service.server` offers in ``scope["extensions"]`` besides ASGI; with any other server everything works without it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from starlette.types import Scope

from holdfast.service.asgi.receiving.buffers import Buffers

EXTENSION = "holdfast"


class Intake(Protocol):
    """
    Where the bytes of a request come from, gathered to blocks.
    """

    received: int
    """Bytes that came in all."""
    held: int
    """Bytes of them that were not taken yet."""
    complete: bool
    """Whether all of the content came."""
    lost: bool
    """Whether nothing more will come."""

    @property
    def is_ready(self) -> bool:
        """Whether there is a whole block, or the last one."""
        ...

    async def fill(self) -> None:
        """
        Give back the block that was taken last, and return when there is a whole one, or the last, or after `interrupt`.
        """
        ...

    async def some(self) -> None:
        """
        Return when anything has come, or nothing more will.
        """
        ...

    def take(self) -> memoryview:
        """
        Return what is held, maybe nothing; it is valid until the next call of any of these methods.
        """
        ...

    def take_rest(self) -> None:
        """
        Hold also what the server has received and not delivered.
        """
        ...

    def interrupt(self) -> None:
        """
        Let a `fill` that waits return with what there is.
        """
        ...

    def close(self) -> None:
        """
        Give back everything.
        """
        ...


class ConnectionExtension(Protocol):
    """
    What the server offers for one request.
    """

    on_shutdown: Callable[[], None] | None
    """Called when the server begins to shut down."""

    @property
    def has_all(self) -> bool:
        """Whether the content of the request has come whole, and none of it was delivered."""
        ...

    def remains(self) -> tuple[bytes, bool]:
        """
        Return what was received but not delivered by ``receive()``, and whether that is the end of the content.
        """
        ...

    def hand_over(self, length: int, buffers: Buffers) -> Intake | None:
        """
        Return the content of this request, *length* bytes, straight from the connection into *buffers*.

        From then on ``receive()`` delivers nothing.  None where this connection or its state does not allow it.
        """
        ...

    @property
    def sends_files(self) -> bool:
        """Whether `send_file` works on this connection."""
        ...

    async def send_file(self, descriptor: int, start: int, stop: int, patience: float) -> None:
        """
        Send the bytes of a file from *start* up to *stop* as the content of a response whose head was sent, with its length.

        :raises TimeoutError: the client did not read for *patience* seconds.
        :raises ConnectionError: the client disconnected.
        :raises EOFError: the file is shorter.
        """
        ...

    def abort(self) -> None:
        """
        Close the connection in the middle of a response.
        """
        ...


def extension_of(scope: Scope) -> ConnectionExtension | None:
    """
    Return what the server offers for this request, if it does.
    """
    extension: ConnectionExtension | None = scope.get("extensions", {}).get(EXTENSION)
    return extension
