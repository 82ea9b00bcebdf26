"""The callers of the service, and their rights."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from holdfast.storage.records import Key, Subject, Tenant

ADMIN = "admin"
ACCOUNT_HOLDER = "account_holder"


class Capability(enum.StrEnum):
    """Three separate rights: none includes another."""

    UPLOAD = "upload"
    """Begin uploads; continue or cancel one's own."""
    VIEW = "view"
    """Read content and objects."""
    ATTACH = "attach"
    """Change slots, as far as their policies allow."""


EVERY_CAPABILITY = frozenset(Capability)


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """An authenticated account, or a link that acts for one."""

    tenant: Tenant | None
    """The tenant of the account; None means every tenant, without accounts."""
    subject: Subject | None
    roles: frozenset[str] = frozenset()
    """Roles in the tenant: `ADMIN`, `ACCOUNT_HOLDER`; others are ignored."""
    entitlements: frozenset[str] = frozenset()
    capabilities: frozenset[Capability] = EVERY_CAPABILITY
    key: Key | None = None
    """For a link: the only upload that it is for."""
    owns_key: bool = False
    """For a link: whether that upload belonged to its maker.  A link allows no more than its maker may do."""
    originator: str | None = None
    """The system that acts on the account's behalf, as it names itself; for the audit, never for decisions."""
    trusted: bool = False
    """Whether everything is allowed: without accounts, and for the service itself."""


ANYBODY = Principal(tenant=None, subject=None, trusted=True)
UNADMITTED = Principal(tenant=None, subject=None, capabilities=frozenset())
"""The caller of a request that is not admitted yet: it may do nothing."""
