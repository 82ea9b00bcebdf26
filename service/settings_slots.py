"""
The slots that a user writes into ``holdfast.toml``.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from holdfast.service.core import names
from holdfast.service.core.content.sniffing import canonical
from holdfast.service.core.policies import Policy, Who

DAYS = 86_400  # seconds
YEARS = 365 * DAYS
# RFC 6838, section 4.2: restricted-name; a subtype may be a wildcard, as in Accept.
_NAME = r"[0-9A-Za-z][0-9A-Za-z!#$&^_.+-]{0,126}"
MediaType = Annotated[str, Field(pattern=rf"^({_NAME}/({_NAME}|\*)|\*/\*)$"), AfterValidator(canonical)]


class Slot(BaseModel):
    """
    A slot of objects of one kind, as ``[[slots]]`` in ``holdfast.toml``; its names are those of
    `holdfast.service.core.policies.Policy`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str = Field(pattern=f"^{names.KIND}$")
    slot: str = Field(pattern=f"^{names.SLOT}$")
    most: int = Field(default=1, ge=1, le=1000)
    types: frozenset[MediaType] | None = Field(default=None, min_length=1, max_length=64)
    max_bytes: int | None = Field(default=None, ge=1)
    max_pixels: int | None = Field(default=None, ge=1)
    who: frozenset[Who] = Field(default=frozenset({Who.ADMIN}), min_length=1)
    entitlement: str | None = Field(default=None, min_length=1, max_length=255)
    grace: float = Field(default=7 * DAYS, ge=0, le=100 * YEARS)
    history: int = Field(default=100, ge=1, le=1000)
    renditions: tuple[Annotated[int, Field(ge=1, le=1024)], ...] = Field(default=(600, 150, 50), max_length=16)
    managed_elsewhere: bool = False

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (Who.ENTITLED in self.who) != (self.entitlement is not None):
            raise ValueError(f"{self.kind}/{self.slot}: who = entitled and entitlement belong together")
        return self

    def to_policy(self) -> Policy:
        """
        Return the rules of this slot as the core knows them.
        """
        return Policy(**{name: getattr(self, name) for name in type(self).model_fields})
