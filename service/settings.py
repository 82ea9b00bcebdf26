"""
Every setting, read once from the environment: name, default, unit, help.  README.md has the same table; a test compares them.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from storage.local import Durability

TiB = 1024**4
YEARS = 365 * 86_400  # seconds


class SettingsError(Exception):
    """A setting cannot be served with; the message says which, and what to do."""


class Settings(BaseSettings):
    """
    The settings of one process, from ``HOLDFAST_*``.
    """

    model_config = SettingsConfigDict(env_prefix="HOLDFAST_", frozen=True, extra="ignore")

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8080, ge=0, le=65535, description="TCP port to listen on; 0 lets the system choose.")
    data_dir: str = Field(
        default="holdfast-data", description="Directory of the embedded stores; a relative path starts where the command runs."
    )
    metadata_url: str = Field(
        default="sqlite:", description="Where records are kept: `sqlite:` (in the data directory), `sqlite:PATH` or `memory:`."
    )
    bytes_url: str = Field(
        default="file:", description="Where content is kept: `file:` (in the data directory), `file:PATH` or `memory:`."
    )
    s3_endpoint_url: str = Field(default="", description="Reserved for the S3 store; has to be empty.")
    workers: int = Field(default=1, ge=1, le=256, description="Processes that serve.")
    auth: Literal["none", "jwt"] = Field(
        default="none", description="`none`: no accounts, loopback only.  `jwt` is reserved for accounts."
    )
    jwt_secret: str = Field(default="", description="Reserved for accounts; has to be empty.")
    default_tenant: str = Field(default="1", description="Tenant of URLs that name none: a community key.")
    durability: Durability = Field(
        default=Durability.ACKNOWLEDGED,
        description="When bytes and records reach the disk: `acknowledged` (before every acknowledged offset), `complete` "
        "(when an upload completes) or `none` (survives a crash of the process only).",
    )
    handoff: Literal["on", "off"] = Field(
        default="off", description="Reserved for the hand-off of content; content comes by ASGI, whatever this says."
    )
    max_size: int = Field(default=1 * TiB, ge=1, le=999_999_999_999_999, description="Largest upload (bytes).")
    idle_expiry: float = Field(
        default=86_400,
        gt=0,
        le=100 * YEARS,
        description="An unfinished upload is given up this long after its last progress (seconds).",
    )
    final_expiry: float = Field(
        default=604_800,
        gt=0,
        le=100 * YEARS,
        description="An unfinished upload is given up this long after its creation (seconds).",
    )
    idle_timeout: float = Field(
        default=60, gt=0, le=1 * YEARS, description="A request whose content does not come on is ended after this (seconds)."
    )
    shutdown_grace: int = Field(default=10, ge=0, description="How long requests may still take after SIGTERM (seconds).")
    cors_origins: str = Field(
        default="*", description="Origins whose pages may use this service, with commas between; `*` for all."
    )
    trusted_proxies: str = Field(
        default="127.0.0.1,::1",
        description="Addresses or networks whose `Forwarded` and `X-Forwarded-*` fields are believed, with commas.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="How much is logged to standard error."
    )

    @field_validator("default_tenant")
    @classmethod
    def _is_community_key(cls, value: str) -> str:
        if not re.fullmatch(r"0|[1-9][0-9]{0,17}", value):
            raise ValueError("has to be a non-negative integer: the community key of the attachments API")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        for part in filter(None, (part.strip() for part in value.split(","))):
            ipaddress.ip_network(part, strict=False)
        return value

    @model_validator(mode="after")
    def _can_be_served(self) -> Self:
        # What is reserved for later is refused by name, so that nobody believes it protects or stores anything today.
        if self.auth == "jwt" or self.jwt_secret:
            raise ValueError("accounts (HOLDFAST_AUTH=jwt, HOLDFAST_JWT_SECRET) are not in this version; use HOLDFAST_AUTH=none")
        if self.s3_endpoint_url:
            raise ValueError("HOLDFAST_S3_ENDPOINT_URL: the S3 store is not in this version")
        if not is_loopback(self.host):
            raise ValueError(
                f"HOLDFAST_AUTH=none serves loopback only, and HOLDFAST_HOST={self.host} is not a loopback address: "
                "whoever reaches it could read, change and delete every upload"
            )
        return self


def is_loopback(host: str) -> bool:
    """
    Say whether *host* can only be reached from this machine.
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
