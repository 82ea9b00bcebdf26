"""
Why somebody is not let in.

Unauthenticated
├── TokenMissing       there is none
├── TokenRefused       it is no good: signed by others, for others, or no token at all
└── TokenExpired       it was good once
Forbidden              whoever was asked says no
Unavailable            whoever would have to be asked does not answer
"""

from __future__ import annotations


class Unauthenticated(Exception):
    """Nobody who is known asks; *reason* is a sentence for the client, and tells nothing of keys and libraries."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TokenMissing(Unauthenticated):
    """There is no token."""


class TokenRefused(Unauthenticated):
    """The token is no good."""


class TokenExpired(Unauthenticated):
    """The token was good once."""


class AccessForbidden(Exception):
    """Whoever decides about this request says no."""


class AccountsUnavailable(Exception):
    """Whoever knows the keys, or decides, does not answer now."""
