"""The fields of every response: `Date`, the time at which the response is made."""

from __future__ import annotations

import time
from email.utils import formatdate

Field = tuple[bytes, bytes]


class DatedFields(list[Field]):
    """
    Uvicorn's default fields, with a `Date` of the moment when it sends the head; its own is as old as the request.

    RFC 9110, section 6.6.1: "The "Date" header field represents the date and time at which the message was originated".
    """

    def __init__(self) -> None:
        super().__init__()
        self._second = 0

    def __add__(self, fields: list[Field]) -> list[Field]:  # type: ignore[override]  # a list and no tuple
        return [self.date, *fields]

    @property
    def date(self) -> Field:
        """The field `Date` with the current time."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self[:] = [(b"date", formatdate(second, usegmt=True).encode())]
        return self[0]
