"""
Who asks, and what they were given the right to do.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from holdfast.storage.records import Key, Subject, Tenant

ADMIN = "admin"
ACCOUNT_HOLDER = "account_holder"


class Capability(enum.StrEnum):
    """Three rights that are given apart: none of them contains another."""

    UPLOAD = "upload"
    """To begin uploads, and to go on with or give up one's own."""
    VIEW = "view"
    """To read content, and what is known of objects."""
    ATTACH = "attach"
    """To change slots, as far as their policies let one."""


EVERY_CAPABILITY = frozenset(Capability)


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """
    Somebody who was authenticated, or a link that stands for somebody.
    """

    tenant: Tenant | None
    """Where they belong to.  None: where there are no accounts, every tenant is theirs."""
    subject: Subject | None
    roles: frozenset[str] = frozenset()
    """In the tenant: `ADMIN`, `ACCOUNT_HOLDER`; others mean nothing here."""
    entitlements: frozenset[str] = frozenset()
    capabilities: frozenset[Capability] = EVERY_CAPABILITY
    key: Key | None = None
    """Of a link: the one upload that it opens."""
    owns_key: bool = False
    """Of a link: whether that upload belonged to whoever signed it.  A link gives no more than its maker has."""
    originator: str | None = None
    """The system that asks on their behalf, as it calls itself; for the audit, never for decisions."""
    trusted: bool = False
    """Whether everything is allowed: where there are no accounts, and for the service itself."""


ANYBODY = Principal(tenant=None, subject=None, trusted=True)
NOBODY = Principal(tenant=None, subject=None, capabilities=frozenset())
"""The caller of a request that was not admitted yet: it may do nothing."""
