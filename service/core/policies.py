"""
What slots take, and for how long what leaves them is kept.

A policy is also the form of ``[[slots]]`` in ``holdfast.toml``; pydantic checks every policy.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from holdfast.service.core import names
from holdfast.service.core.content.media_types import IMAGES
from holdfast.service.core.content.sniffing import canonical
from holdfast.service.core.errors import SlotUnknown
from holdfast.storage.records import SlotRef

KiB = 1024
MiB = 1024 * KiB
SECONDS = 1.0
DAYS = 86400 * SECONDS
YEARS = 365 * DAYS
# RFC 6838, section 4.2: restricted-name; a subtype may be a wildcard, as in Accept.
_NAME = r"[0-9A-Za-z][0-9A-Za-z!#$&^_.+-]{0,126}"
MediaType = Annotated[str, Field(pattern=rf"^({_NAME}/({_NAME}|\*)|\*/\*)$"), AfterValidator(canonical)]
Side = Annotated[int, Field(ge=1, le=1024)]


class Who(enum.StrEnum):
    """An account that may change a slot."""

    SELF = "self"
    """The object itself, if it is an account."""
    ADMIN = "admin"
    ACCOUNT_HOLDER = "account_holder"
    ENTITLED = "entitled"
    """An account with the entitlement that the policy names."""


@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Policy:
    """The rules of one slot of one kind of objects."""

    kind: str = Field(pattern=f"^{names.KIND}$")
    slot: str = Field(pattern=f"^{names.SLOT}$")
    most: int = Field(default=1, ge=1, le=1000)
    """The most attachments.  A slot for one replaces its attachment; a slot for more refuses one too many."""
    types: frozenset[MediaType] | None = Field(default=None, min_length=1, max_length=64)
    """Media types, or wildcards such as ``video/*``; the detected type counts if there is one.  None: any type."""
    max_bytes: int | None = Field(default=None, ge=1)
    max_pixels: int | None = Field(default=None, ge=1)
    """Width times height, over all frames."""
    who: frozenset[Who] = Field(default=frozenset({Who.ADMIN}), min_length=1)
    entitlement: str | None = Field(default=None, min_length=1, max_length=255)
    grace: float = Field(default=7 * DAYS, ge=0, le=100 * YEARS)
    """Seconds for which what left the slot is kept and can be put back."""
    history: int = Field(default=100, ge=1, le=1000)
    """The most ended associations that the slot remembers; events record all."""
    renditions: tuple[Side, ...] = Field(default=(600, 150, 50), max_length=16)
    """Sides in pixels of the square renditions with stable URLs that an image in the slot has."""
    managed_elsewhere: bool = False

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (Who.ENTITLED in self.who) != (self.entitlement is not None):
            raise ValueError(f"{self.kind}/{self.slot}: who = entitled and entitlement belong together")
        return self


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
    """Every slot that this service knows."""

    def __init__(self, policies: Iterable[Policy] = BUILT_IN) -> None:
        self._policies: dict[tuple[str, str], Policy] = {(policy.kind, policy.slot): policy for policy in policies}

    def __iter__(self) -> Iterator[Policy]:
        return iter(self._policies.values())

    def same(self, policy: Policy) -> Policy:
        """Return the current rules of the slot of *policy*: holdfast.toml may replace built-in ones."""
        return self._policies[policy.kind, policy.slot]

    def kinds(self) -> Mapping[str, str]:
        """Return for each slot name the kind of objects that has it; the first kind if several have."""
        return {policy.slot: policy.kind for policy in reversed(self._policies.values())}

    def find(self, ref: SlotRef) -> Policy | None:
        """Return the policy of a slot, or None if it is unknown."""
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
