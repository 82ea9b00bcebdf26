"""
How content is kept in a bucket, as one value; and what things are called there.
"""

from __future__ import annotations

import enum
import re
import secrets
from dataclasses import dataclass

from holdfast.storage import keys
from holdfast.storage.records import Key
from holdfast.storage.s3.parts.plan import MiB, PartLimits
from holdfast.storage.s3.parts.state import CONTENT

SECONDS = 1.0
RANDOM_BYTES = 8
_NAME = re.compile(r"(?:attachments/[0-9A-Za-z]{2}|tail)/([0-9A-Za-z]{10})(?:[-/].*)?")


class Checksum(enum.StrEnum):
    """What the bytes of a part are summed with, so that the server finds out what the network did to them."""

    NONE = "none"
    CRC32 = "crc32"


class Addressing(enum.StrEnum):
    """Where the name of the bucket stands in a URL: in its path, in its host, or wherever botocore thinks."""

    AUTO = "auto"
    PATH = "path"
    VIRTUAL = "virtual"


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Options:
    """
    Where content is kept, and how.  Credentials and the region come as boto3 takes them: environment, profile or instance.
    """

    bucket: str
    prefix: str = ""
    """What the names of all objects begin with."""
    endpoint_url: str | None = None
    """The server; None: AWS."""
    part_size: int = 8 * MiB
    equal_parts: bool = False
    """Whether the server wants all parts but the last to have one size (Cloudflare R2)."""
    max_parts: int = 10_000
    """Parts of one upload at most (Scaleway: 1,000)."""
    checksum: Checksum = Checksum.CRC32
    addressing: Addressing = Addressing.AUTO
    memory: int = 192 * MiB
    """For the parts of all uploads of this process that are being filled or sent."""
    spool_folder: str | None = None
    """Where the parts of slow uploads are filled; None: the system's folder for temporary files."""
    threads: int = 16
    """Calls of the server at once, for sending; as many more for reading."""
    timeout: float = 60 * SECONDS
    """How long the server may be silent."""
    tries: int = 4
    """How often botocore makes a call that fails, within a few seconds."""
    patience: float = 25 * SECONDS
    """How long a call is tried again and again, once botocore's own tries are used up; its bytes are held meanwhile."""

    @property
    def limits(self) -> PartLimits:
        """What parts may be."""
        return PartLimits(size=self.part_size, most=self.max_parts, alike=self.equal_parts)


class ObjectNames:
    """
    What the objects of an upload are called.

        <prefix>attachments/<shard>/<key>[-<random>]     its content
        <prefix>tail/<key>/<offset>-<random>             a piece of its tail
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    @staticmethod
    def new_content() -> str:
        """
        Return the end of a name for content, that nobody else has.
        """
        return CONTENT + secrets.token_hex(RANDOM_BYTES)

    @staticmethod
    def new_piece(offset: int) -> str:
        """
        Return the end of a name for a piece, that nobody else has.
        """
        return f"{offset}-{secrets.token_hex(RANDOM_BYTES)}"

    def of(self, key: Key, end: str) -> str:
        """
        Return the name of which *end* is remembered.
        """
        return self.content_prefix(key) + end if end.startswith(CONTENT) or not end else self.tail_prefix(key) + end

    def content_prefix(self, key: Key) -> str:
        """
        Return what every name for content of an upload begins with.
        """
        return f"{self._prefix}attachments/{keys.shard(key)}/{key}"

    def tail_prefix(self, key: Key) -> str:
        """
        Return what the name of every piece of an upload begins with.
        """
        return f"{self._prefix}tail/{key}/"

    @property
    def ping(self) -> str:
        """What is written to find out whether that can be done."""
        return f"{self._prefix}ping"

    @property
    def prefixes(self) -> tuple[str, str]:
        """What every name of this store begins with."""
        return f"{self._prefix}attachments/", f"{self._prefix}tail/"

    def key_of(self, name: str) -> Key | None:
        """
        Return the upload that an object belongs to; None where it is none of ours.
        """
        found = _NAME.fullmatch(name.removeprefix(self._prefix)) if name.startswith(self._prefix) else None
        return Key(found[1]) if found else None
