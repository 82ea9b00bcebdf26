"""
What slots take, and for how long what leaves them is kept.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from holdfast.service.core.content.media_types import IMAGES
from holdfast.service.core.errors import SlotUnknown
from holdfast.storage.records import SlotRef

KiB = 1024
MiB = 1024 * KiB
SECONDS = 1.0
DAYS = 86400 * SECONDS


class Who(enum.StrEnum):
    """Who may change a slot."""

    SELF = "self"
    """The object itself, where it is an account."""
    ADMIN = "admin"
    ACCOUNT_HOLDER = "account_holder"
    ENTITLED = "entitled"
    """Whoever has the entitlement that the policy names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """
    The rules of one slot of one kind of objects.
    """

    kind: str
    slot: str
    most: int = 1
    """How many attachments it takes.  A slot of one replaces; a slot of many refuses what is too much."""
    types: frozenset[str] | None = None
    """Media types, or wildcards such as ``video/*``; where content says what it is, that counts.  None: any."""
    max_bytes: int | None = None
    max_pixels: int | None = None
    """Width times height, over all frames."""
    who: frozenset[Who] = frozenset({Who.ADMIN})
    entitlement: str | None = None
    grace: float = 7 * DAYS
    """How long what left the slot can be put back, and is kept for that (seconds)."""
    history: int = 100
    """How many associations that ended are remembered in the slot; events tell of all."""
    renditions: tuple[int, ...] = (600, 150, 50)
    """Sides of the squares (pixels) that an image in the slot has URLs for that never change."""
    managed_elsewhere: bool = False


PROFILE_PHOTO = Policy(
    kind="user",
    slot="ProfilePhoto",
    types=IMAGES,
    max_bytes=10 * MiB,
    max_pixels=64 * 1000 * 1000,
    who=frozenset({Who.SELF, Who.ADMIN}),
)
GROUP_AVATAR = Policy(
    kind="group",
    slot="GroupAvatar",
    types=IMAGES,
    max_bytes=2 * MiB,  # "Original image must be less than 2MB"
    max_pixels=64 * 1000 * 1000,
    who=frozenset({Who.ENTITLED}),
    entitlement="Distribution List Manager",
)
ORG_GROUP_PICTURE = Policy(
    kind="organization_group",
    slot="OrgGroupPicture",
    types=IMAGES,
    max_bytes=2 * MiB,
    max_pixels=64 * 1000 * 1000,
    who=frozenset({Who.ACCOUNT_HOLDER}),
)
BUILT_IN = (PROFILE_PHOTO, GROUP_AVATAR, ORG_GROUP_PICTURE)


class Policies:
    """
    Every slot that there is.
    """

    def __init__(self, policies: Iterable[Policy] = BUILT_IN) -> None:
        self._policies: dict[tuple[str, str], Policy] = {(policy.kind, policy.slot): policy for policy in policies}

    def __iter__(self) -> Iterator[Policy]:
        return iter(self._policies.values())

    def same(self, policy: Policy) -> Policy:
        """
        Return the rules of the same slot as they are here: a file may have others than those built in.
        """
        return self._policies[policy.kind, policy.slot]

    def kinds(self) -> Mapping[str, str]:
        """
        Return, by the name of a slot, the kind of objects that have it; the first one, where there are several.
        """
        return {policy.slot: policy.kind for policy in reversed(self._policies.values())}

    def find(self, ref: SlotRef) -> Policy | None:
        """
        Return the policy of a slot, if there is such a slot.
        """
        return self._policies.get((ref.kind, ref.slot))

    def of(self, ref: SlotRef) -> Policy:
        """
        Return the policy of a slot.

        :raises SlotUnknown: objects of this kind have no such slot.
        """
        try:
            return self._policies[ref.kind, ref.slot]
        except KeyError:
            raise SlotUnknown(f"{ref.kind} objects have no slot {ref.slot!r}") from None
