"""All settings: name, default, unit, help.  A test compares them with deploy/README.md."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Iterable
from typing import Literal, Self

import pydantic_settings
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from holdfast.service.asgi.cors import parse_fields, parse_list
from holdfast.service.asgi.proxies import parse_base, parse_networks
from holdfast.service.core.policies import YEARS, Policy
from holdfast.service.settings_file import CONFIG, SettingsError, config_path, read_config
from holdfast.storage.durability import Durability
from holdfast.storage.s3.options import Addressing, Checksum

MiB = 1024**2
GiB = 1024**3
TiB = 1024**4
MIN_SECRET = 32  # bytes


class Settings(BaseSettings):
    """The settings of one process: from ``HOLDFAST_*``, else from ``holdfast.toml``."""

    model_config = SettingsConfigDict(env_prefix="HOLDFAST_", frozen=True, extra="forbid")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Also read the file; the environment takes precedence."""
        return init_settings, env_settings, InitSettingsSource(settings_cls, read_config())

    config: str = Field(default=CONFIG, description="File with settings, in lower case and without `HOLDFAST_`, and `[[slots]]`.")
    slots: tuple[Policy, ...] = Field(default=(), description="Slots besides the built-in ones; written in the file.")
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8080, ge=0, le=65535, description="TCP port to listen on; 0 lets the system choose.")
    tls_certificate: str = Field(
        default="",
        description="Path of the TLS certificate with its chain (PEM).  Empty: the server speaks plain HTTP.",
    )
    tls_key: str = Field(default="", description="Path of the private key of the certificate (PEM).")
    data_dir: str = Field(
        default="holdfast-data", description="Directory of the embedded stores; a relative path starts where the command runs."
    )
    metadata_url: str = Field(
        default="sqlite:",
        description="Where records are kept: `sqlite:` (in the data directory), `sqlite:PATH`, `redis://HOST:PORT/DB`, "
        "`redis+sentinel://HOST:PORT,…/SERVICE`, `redis+cluster://HOST:PORT,…` (`rediss…` with TLS) or `memory:`.",
        repr=False,
    )
    bytes_url: str = Field(
        default="file:",
        description="Where content is kept: `file:` (in the data directory), `file:PATH`, `s3://BUCKET/PREFIX` or `memory:`.",
    )
    s3_endpoint_url: str = Field(default="", description="URL of the S3 server; empty: Amazon's.")
    s3_addressing: Addressing = Field(
        default=Addressing.AUTO, description="Where S3 URLs have the name of the bucket: `path`, `virtual` (host) or `auto`."
    )
    s3_part_size: int = Field(
        default=8 * MiB,
        ge=5 * MiB,
        le=5 * GiB,
        description="Size of a part (bytes); long uploads have larger parts.",
    )
    s3_max_parts: int = Field(
        default=10_000, ge=1, le=10_000, description="Largest number of parts that the S3 server accepts for one upload."
    )
    s3_equal_parts: bool = Field(
        default=False,
        description="Whether the S3 server wants all parts of one size, as Cloudflare R2 does.",
    )
    s3_checksum: Checksum = Field(
        default=Checksum.CRC32, description="Checksum by which the S3 server detects damaged parts: `crc32` or `none`."
    )
    s3_memory: int = Field(
        default=192 * MiB,
        ge=32 * MiB,
        description="Memory of a process for parts (bytes); further parts go to files.",
    )
    s3_redirect: bool = Field(
        default=False,
        description="Whether the server redirects downloads to presigned S3 URLs, which expire after "
        "`HOLDFAST_LINK_LIFE`; downloads by signed links are not redirected.",
    )
    workers: int = Field(default=1, ge=1, le=256, description="Processes that serve.")
    auth: Literal["none", "jwt"] = Field(
        default="none", description="`none`: no accounts, loopback only.  `jwt`: every request has a token."
    )
    open_behind_proxy: bool = Field(
        default=False,
        description="Whether, without accounts, a proxy may forward requests from other machines: "
        "every client that the proxy lets through may then do everything.",
    )
    jwt_secret: str = Field(default="", description="Secret that tokens are signed with by HS256; at least 32 bytes.", repr=False)
    jwt_keys: str = Field(
        default="",
        description="Instead of a secret: URL of a JWKS, or path of a public key (PEM) or JWKS; RS256, RS512 and ES256.",
    )
    jwt_issuer: str = Field(default="", description="`iss` that tokens must have; empty: any.")
    jwt_audience: str = Field(default="", description="`aud` that tokens must have; empty: they must have none.")
    authorize_url: str = Field(
        default="", description="URL of a webhook that authenticates clients, instead of tokens that Holdfast verifies."
    )
    authorize_secret: str = Field(default="", description="Secret (`whsec_…`) that its requests are signed with.", repr=False)
    link_life: int = Field(
        default=3600,
        ge=1,
        le=604_800,
        description="Longest life of a signed link, and how long detached attachments are kept at least (seconds).",
    )
    symphony_host: Literal["strict", "compatible"] = Field(
        default="compatible",
        description="Whether `X-Symphony-Host` may be empty, as the official client sends it, or not (`strict`).",
    )
    default_tenant: str = Field(default="1", description="Tenant of URLs that name none: a community key.")
    durability: Durability = Field(
        default=Durability.ACKNOWLEDGED,
        description="When bytes and records reach the disk: `acknowledged` (before every acknowledged offset), `complete` "
        "(when an upload completes) or `none` (survives a crash of the process only).",
    )
    handoff: Literal["on", "off"] = Field(
        default="on",
        description="Whether content goes straight from the connection into buffers (`on`) or through ASGI messages (`off`).",
    )
    accel_redirect: str = Field(
        default="",
        pattern="^(/([!-~]*/)?)?$",
        description="Path of an internal location (`/held/`) under which an nginx in front of the server serves the directory of "
        "content: nginx then sends downloads (`X-Accel-Redirect`).  Empty: the server sends them.",
    )
    max_size: int = Field(default=1 * TiB, ge=1, le=999_999_999_999_999, description="Largest upload (bytes).")
    idle_expiry: float = Field(
        default=86_400,
        gt=0,
        le=100 * YEARS,
        description="An unfinished upload expires this long after its last progress (seconds).",
    )
    final_expiry: float = Field(
        default=604_800,
        gt=0,
        le=100 * YEARS,
        description="An unfinished upload expires this long after its creation (seconds).",
    )
    unattached_expiry: float = Field(
        default=0,
        ge=0,
        le=100 * YEARS,
        description="An attachment that was never in a slot is deleted this long after it was complete (seconds); 0: never.",
    )
    idle_timeout: float = Field(
        default=60,
        gt=0,
        le=1 * YEARS,
        description="The server ends a request whose client sends no content for this long (seconds).",
    )
    min_rate: int = Field(
        default=100,
        ge=0,
        description="The server also ends a request whose client sends less on average over the idle timeout (bytes per second).",
    )
    shutdown_grace: int = Field(default=10, ge=0, description="How long requests may still take after SIGTERM (seconds).")
    cors_origins: str = Field(
        default="*",
        description="Origins whose pages may use this service, separated by commas; `*` for all.  "
        "Pages of named origins may send cookies.",
    )
    cors_fields: str = Field(default="", description="Further request fields that those pages may send, separated by commas.")
    trusted_proxies: str = Field(
        default="127.0.0.1,::1",
        description="Addresses or networks of proxies whose `Forwarded` and `X-Forwarded-*` count, separated by commas.",
    )
    public_url: str = Field(
        default="",
        description="URL under which clients find this service (`https://files.example/uploads`).  "
        "Empty: from `Host`, `Forwarded` and `X-Forwarded-*`.",
    )
    relative_location: bool = Field(
        default=False, description="Whether `Location` of uploads is a path only, without scheme and host."
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

    @field_validator("slots")
    @classmethod
    def _are_different(cls, value: tuple[Policy, ...]) -> tuple[Policy, ...]:
        names = [f"{slot.kind}/{slot.slot}" for slot in value]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"{twice} is defined twice; remove one")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        try:
            parse_networks(value)
        except ValueError as error:
            raise ValueError(f"has to be IP addresses or networks, separated by commas: {error}") from error
        return value

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: str) -> str:
        for origin in parse_list(value):
            if origin != "*" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/?#]+", origin):
                raise ValueError(f"{origin} is not an origin; write scheme and host, such as https://example.com, or *")
        return value

    @field_validator("cors_fields")
    @classmethod
    def _are_fields(cls, value: str) -> str:
        parse_fields(value)
        return value

    @field_validator("public_url")
    @classmethod
    def _is_base(cls, value: str) -> str:
        parse_base(value)
        return value

    @model_validator(mode="after")
    def _can_be_served(self) -> Self:
        sources = [name for name in ("jwt_secret", "jwt_keys", "authorize_url") if getattr(self, name)]
        if self.auth == "jwt" and len(sources) != 1:
            raise ValueError("HOLDFAST_AUTH=jwt needs one of HOLDFAST_JWT_SECRET, HOLDFAST_JWT_KEYS and HOLDFAST_AUTHORIZE_URL")
        if self.auth == "none" and sources:
            raise ValueError(f"HOLDFAST_{sources[0].upper()} has no effect with HOLDFAST_AUTH=none; set HOLDFAST_AUTH=jwt")
        if self.jwt_secret and len(self.jwt_secret.encode()) < MIN_SECRET:
            raise ValueError(
                f"HOLDFAST_JWT_SECRET needs at least {MIN_SECRET} bytes (RFC 7518, section 3.2); "
                "`head -c 32 /dev/urandom | base64` makes one"
            )
        if self.authorize_url and not self.authorize_secret:
            raise ValueError("HOLDFAST_AUTHORIZE_URL needs HOLDFAST_AUTHORIZE_SECRET")
        if self.accel_redirect and not self.bytes_url.startswith("file:"):
            raise ValueError("HOLDFAST_ACCEL_REDIRECT has no effect without HOLDFAST_BYTES_URL=file:")
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise ValueError("HOLDFAST_TLS_CERTIFICATE and HOLDFAST_TLS_KEY belong together")
        if self.s3_endpoint_url and not re.match(r"https?://[^/]", self.s3_endpoint_url):
            raise ValueError("HOLDFAST_S3_ENDPOINT_URL has to begin with http:// or https://")
        if self.s3_endpoint_url and not self.bytes_url.startswith("s3:"):
            raise ValueError("HOLDFAST_S3_ENDPOINT_URL has no effect without HOLDFAST_BYTES_URL=s3://BUCKET")
        if self.auth == "none" and not is_loopback(self.host):
            raise ValueError(
                f"HOLDFAST_AUTH=none serves loopback only, and HOLDFAST_HOST={self.host} is not a loopback address: "
                "every client could read, change and delete every upload; set HOLDFAST_AUTH=jwt, or HOLDFAST_HOST=127.0.0.1"
            )
        return self


# Messages for pydantic's error types.
_WORDS = {
    "bool_parsing": "has to be true or false",
    "extra_forbidden": "is not a setting",
    "float_parsing": "has to be a plain number, without a unit",
    "frozen_set_type": "has to be a list, in [ ]",
    "int_parsing": "has to be a plain whole number, without a unit",
    "missing": "is missing",
    "tuple_type": "has to be a list, in [ ]",
    "unexpected_keyword_argument": "is not a setting",
}
# Messages for values that do not match the pattern of a setting.
_PATTERNS = {
    "accel_redirect": "has to begin and end with /, as /held/",
    "kind": "has to begin with a small letter; behind it come small letters, digits and _, 64 in all",
    "slot": "has to begin with a letter; behind it come letters, digits and _, 64 in all",
}


def load(**given: object) -> Settings:
    """
    Return the settings of environment and file; *given* takes precedence over both.

    :raises SettingsError: a setting is invalid.
    """
    try:
        return Settings(**given)  # type: ignore[arg-type]  # pydantic checks the values
    except ValidationError as error:
        raise SettingsError("\n".join(_explained(problem) for problem in error.errors())) from error
    except pydantic_settings.SettingsError as error:
        # Only this setting is read as JSON.
        raise SettingsError(f"HOLDFAST_SLOTS: has to be JSON; better write [[slots]] into {config_path()}") from error


def _explained(problem: ErrorDetails) -> str:
    """Return one mistake as a line that names its place."""
    where, unknown = problem["loc"], problem["type"] in ("extra_forbidden", "unexpected_keyword_argument")
    said = _WORDS.get(problem["type"], problem["msg"].removeprefix("Value error, "))
    if problem["type"] == "string_pattern_mismatch":
        said = _PATTERNS.get(str(where[-1]), said)
    if unknown:
        said += _meant(str(where[-1]), Settings.model_fields if len(where) == 1 else Policy.__dataclass_fields__)
    match where:
        case ():
            return said
        case ("slots", int() as at, *names):
            place = ", ".join([config_path(), f"[[slots]] number {at + 1}", *map(str, names[:1])])
        case ("slots",):
            place = f"{config_path()}, [[slots]]"
        case (name,) if unknown:
            place = f"{config_path()}, {name}"
        case (name, *_):
            place = f"HOLDFAST_{str(name).upper()}"
    return f"{place}: {said}"


def _meant(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {close[0]}?" if close else ""


def is_loopback(host: str) -> bool:
    """Say whether *host* is reachable from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
