"""
Turns records into plain values and back, although versions of Holdfast differ in the members that they know.

During an upgrade old and new processes share a store.  A record that a newer version wrote may have members that this one does
not know: they are kept in `unknown`, and written again with every change.  One that an older version wrote may lack some: they
are as they are by default.  So a member that is new has a default, and no member ever changes its meaning.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Mapping
from typing import Any, Protocol


class Growing(Protocol):
    """A dataclass that may have more members in newer versions."""

    @property
    def unknown(self) -> Mapping[str, Any] | None:
        """Members, by name, that only a newer version of Holdfast knows; None if there are none."""


class Members:
    """The stored members of one kind of record; fields in *unstored* are not stored."""

    def __init__(self, kind: type[Growing], unstored: tuple[str, ...] = ()) -> None:
        fields = dataclasses.fields(kind)  # type: ignore[arg-type]  # each is a dataclass
        self.names = tuple(field.name for field in fields if field.name not in ("unknown", *unstored))
        self._known = frozenset(self.names)
        self._values = operator.attrgetter(*self.names)

    def write(self, record: Growing) -> dict[str, Any]:
        """Return all members of *record*, known or not."""
        # Not by `asdict`, which copies every value: it takes ten times as long, and slots may have thousands of associations.
        values = dict(zip(self.names, self._values(record), strict=True))
        return {**record.unknown, **values} if record.unknown else values

    def read(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of the record that *values* describe: the known members, and `unknown` if there are others."""
        if values.keys() == self._known:
            return dict(values)
        known = {name: values[name] for name in self.names if name in values}
        if len(known) < len(values):
            known["unknown"] = {name: value for name, value in values.items() if name not in known}
        return known
