"""
What something has to be like, so that it is changed (RFC 9110, sections 13.1.1 and 13.1.2).
"""

from __future__ import annotations

from dataclasses import dataclass

ANY = frozenset({"*"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """
    What the etag has to be and what it must not be; None where there is no such condition.

    Tags stand as fields write them: strong ones in quotes, weak ones as ``W/"…"``, and ``*`` for any.  The etag itself is without
    quotes; what is not there has an empty one, which no tag matches.
    """

    if_match: frozenset[str] | None = None
    if_none_match: frozenset[str] | None = None

    def holds(self, etag: str) -> bool:
        """
        Say whether what has this *etag* may be changed.
        """
        return self.matches(etag) and not self.knows(etag)

    def matches(self, etag: str) -> bool:
        """
        Say whether *etag* is one that it has to be; strongly compared (RFC 9110, section 13.1.1).
        """
        return self.if_match is None or _names(self.if_match, etag)

    def knows(self, etag: str) -> bool:
        """
        Say whether *etag* is one that it must not be: the client has this version; weakly compared (section 13.1.2).
        """
        return _names(frozenset(tag.removeprefix("W/") for tag in self.if_none_match or ()), etag)

    def pinned(self, etag: str) -> str | None:
        """
        Return *etag* if it was asked for by name, and so has to stay until the change is made; else None.
        """
        return None if self.if_match in (None, ANY) else etag


ALWAYS = Condition()


def _names(tags: frozenset[str], etag: str) -> bool:
    return etag != "" and ("*" in tags or f'"{etag}"' in tags)
