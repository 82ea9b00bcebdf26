"""The conditions of a change (RFC 9110, sections 13.1.1 and 13.1.2)."""

from __future__ import annotations

from dataclasses import dataclass

ANY = frozenset({"*"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """
    The entity tags that are required and forbidden; None means no condition.

    Tags are written as in fields: strong ones in quotes, weak ones as ``W/"…"``, and ``*`` for any.  The etag that is compared
    is without quotes; what does not exist has an empty one, which no tag matches.
    """

    if_match: frozenset[str] | None = None
    if_none_match: frozenset[str] | None = None

    def holds(self, etag: str) -> bool:
        """Say whether something with this *etag* may be changed."""
        return self.matches(etag) and not self.knows(etag)

    def matches(self, etag: str) -> bool:
        """Say whether *etag* is a required one; strong comparison (RFC 9110, section 13.1.1)."""
        return self.if_match is None or _names(self.if_match, etag)

    def knows(self, etag: str) -> bool:
        """Say whether *etag* is a forbidden one, so the client has this version; weak comparison (section 13.1.2)."""
        return _names(frozenset(tag.removeprefix("W/") for tag in self.if_none_match or ()), etag)

    def pinned(self, etag: str) -> str | None:
        """Return *etag* if If-Match named it, so that it must still hold at the commit; else None."""
        return None if self.if_match in (None, ANY) else etag


ALWAYS = Condition()


def _names(tags: frozenset[str], etag: str) -> bool:
    return etag != "" and ("*" in tags or f'"{etag}"' in tags)
