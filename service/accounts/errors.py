"""
Why a request is not authorised.

Unauthenticated
├── TokenMissing       the request has no token
├── TokenRefused       the token is malformed, or is not for this service
└── TokenExpired       the token was valid once
AccessForbidden        the webhook forbids the request
AccountsUnavailable    the keys or the webhook cannot be reached
"""

from __future__ import annotations


class Unauthenticated(Exception):
    """The client is unknown; *reason* is a sentence for the client, without details of keys and libraries."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TokenMissing(Unauthenticated):
    """The request has no token."""


class TokenRefused(Unauthenticated):
    """The token is malformed, or is not for this service."""


class TokenExpired(Unauthenticated):
    """The token was valid once."""


class AccessForbidden(Exception):
    """The webhook forbids the request."""


class AccountsUnavailable(Exception):
    """The keys or the webhook cannot be reached now; a later request may succeed."""
