"""Secrets and notes, which a service keeps beside its records."""

from __future__ import annotations

from typing import Protocol

SECRET_BYTES = 32


class Notes(Protocol):
    """Keeps secrets and notes by name, the same for all processes that share the store."""

    async def secret(self, name: str) -> bytes:
        """
        Return the secret of that name: `SECRET_BYTES` random bytes, the same for all processes that share this store, for ever.

        :raises NoSpace, Unavailable: see `holdfast.storage.errors`.
        """
        ...

    async def note(self, name: str) -> str | None:
        """
        Return the note of that name that was written last, or None.

        :raises Unavailable: the store does not answer.
        """
        ...

    async def write_note(self, name: str, text: str) -> None:
        """
        Write a note, replacing the one before.

        :raises NoSpace, Unavailable: see `holdfast.storage.errors`.
        """
        ...
