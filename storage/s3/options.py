"""How content is kept in a bucket, and the names of its objects."""

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
    """The checksum of each part, with which the server detects damage by the network."""

    NONE = "none"
    CRC32 = "crc32"


class Addressing(enum.StrEnum):
    """Where a URL names the bucket: in its path, in its host, or as botocore decides."""

    AUTO = "auto"
    PATH = "path"
    VIRTUAL = "virtual"


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Options:
    """
    How content is kept in a bucket.  Credentials and the region come from where boto3 finds them: environment, profile or
    instance.
    """

    bucket: str
    prefix: str = ""
    """The beginning of all object names."""
    endpoint_url: str | None = None
    """The server; None means AWS."""
    part_size: int = 8 * MiB
    equal_parts: bool = False
    """Whether all parts but the last must have the same size (Cloudflare R2)."""
    max_parts: int = 10_000
    """The most parts of one upload (Scaleway: 1,000)."""
    checksum: Checksum = Checksum.CRC32
    addressing: Addressing = Addressing.AUTO
    memory: int = 192 * MiB
    """Bytes for the parts of all uploads of this process that are being filled or sent."""
    spool_folder: str | None = None
    """The folder in which parts of slow uploads are filled; None means the system's folder for temporary files."""
    threads: int = 16
    """Calls at the same time for sending, and as many more for reading."""
    timeout: float = 60 * SECONDS
    """Seconds for which the server may be silent."""
    tries: int = 4
    """How often botocore tries a failing call, within a few seconds."""
    patience: float = 25 * SECONDS
    """Seconds for which a call is repeated after botocore's own tries; its bytes are held meanwhile."""

    @property
    def limits(self) -> PartLimits:
        """The bounds of parts."""
        return PartLimits(size=self.part_size, most=self.max_parts, alike=self.equal_parts)


class ObjectNames:
    """
    The object names of an upload.

        <prefix>attachments/<shard>/<key>[-<random>]     its content
        <prefix>tail/<key>/<offset>-<random>             a piece of its tail
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    @staticmethod
    def new_content() -> str:
        """Return a new end of a name for content; it is unique."""
        return CONTENT + secrets.token_hex(RANDOM_BYTES)

    @staticmethod
    def new_piece(offset: int) -> str:
        """Return a new end of a name for a piece; it is unique."""
        return f"{offset}-{secrets.token_hex(RANDOM_BYTES)}"

    def of(self, key: Key, end: str) -> str:
        """Return the object name whose *end* the record keeps."""
        return self.content_prefix(key) + end if end.startswith(CONTENT) or not end else self.tail_prefix(key) + end

    def content_prefix(self, key: Key) -> str:
        """Return the prefix of all names for content of an upload."""
        return f"{self._prefix}attachments/{keys.shard(key)}/{key}"

    def tail_prefix(self, key: Key) -> str:
        """Return the prefix of all names for pieces of an upload."""
        return f"{self._prefix}tail/{key}/"

    @property
    def ping(self) -> str:
        """The object that a ping writes."""
        return f"{self._prefix}ping"

    @property
    def prefixes(self) -> tuple[str, str]:
        """The prefixes of all names of this store."""
        return f"{self._prefix}attachments/", f"{self._prefix}tail/"

    def key_of(self, name: str) -> Key | None:
        """Return the upload that an object belongs to; None for objects of other programs."""
        found = _NAME.fullmatch(name.removeprefix(self._prefix)) if name.startswith(self._prefix) else None
        return Key(found[1]) if found else None
