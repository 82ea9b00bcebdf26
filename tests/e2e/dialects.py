"""
The three dialects as a client speaks them, and an upload in any of them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from tests.e2e.wire import Answer, Call, Wire

# Every content begins so, because the attachments API looks at the first bytes.
PNG = b"\x89PNG\r\n\x1a\n"
COMMUNITY = "/.api2/api/v1/communities/1/attachments"


def photo(seed: object, size: int) -> bytes:
    """
    Return *size* bytes that look like a PNG at their beginning and like nothing else anywhere.
    """
    return (PNG + random.Random(str(seed)).randbytes(size))[:size]


def sha256(data: bytes) -> str:
    """
    Return the digest of *data*.
    """
    return hashlib.sha256(data).hexdigest()


class Dialect(Protocol):
    """What differs between protocols."""

    def create(self, length: int | None) -> tuple[Call, bytes]:
        """
        Return the request that begins an upload, with its content.
        """
        ...

    def append(self, target: str, offset: int, size: int, length: int) -> Call:
        """
        Return the head of a request with *size* bytes for *offset*.
        """
        ...

    def question(self, target: str) -> Call:
        """
        Return the request that asks for the offset.
        """
        ...

    def download(self, target: str) -> Call:
        """
        Return the request that fetches the content.
        """
        ...

    def is_complete(self, answer: Answer, length: int) -> bool:
        """
        Say whether *answer* promises a complete upload.
        """
        ...


@dataclass(frozen=True)
class Tus:
    """tus 1.0.0."""

    def create(self, length: int | None) -> tuple[Call, bytes]:
        size = {"upload-defer-length": "1"} if length is None else {"upload-length": str(length)}
        return Call(method="POST", target="/files", fields={"tus-resumable": "1.0.0", **size}), b""

    def append(self, target: str, offset: int, size: int, length: int) -> Call:
        fields = {
            "tus-resumable": "1.0.0",
            "upload-offset": str(offset),
            "content-type": "application/offset+octet-stream",
        }
        return Call(method="PATCH", target=target, fields=fields)

    def question(self, target: str) -> Call:
        return Call(method="HEAD", target=target, fields={"tus-resumable": "1.0.0"})

    def download(self, target: str) -> Call:
        return Call(method="GET", target=target)

    def is_complete(self, answer: Answer, length: int) -> bool:
        return answer.status in (200, 201, 204) and answer.offset == length


@dataclass(frozen=True)
class Ietf:
    """draft-ietf-httpbis-resumable-upload, interop version 9."""

    def create(self, length: int | None) -> tuple[Call, bytes]:
        size = {} if length is None else {"upload-length": str(length)}
        fields = {"upload-draft-interop-version": "9", "upload-complete": "?0", **size}
        return Call(method="POST", target="/files", fields=fields), b""

    def append(self, target: str, offset: int, size: int, length: int) -> Call:
        fields = {
            "upload-draft-interop-version": "9",
            "upload-complete": "?1" if offset + size == length else "?0",
            "upload-offset": str(offset),
            "content-type": "application/partial-upload",
        }
        return Call(method="PATCH", target=target, fields=fields)

    def question(self, target: str) -> Call:
        return Call(method="HEAD", target=target, fields={"upload-draft-interop-version": "9"})

    def download(self, target: str) -> Call:
        return Call(method="GET", target=target)

    def is_complete(self, answer: Answer, length: int) -> bool:
        return 200 <= answer.status < 300 and answer.fields.get("upload-complete") == "?1"


@dataclass(frozen=True)
class Attachments:
    """The attachments API, with Content-Range."""

    def create(self, length: int | None) -> tuple[Call, bytes]:
        document = json.dumps({"ContentLength": length, "ContentType": "image/png", "Name": "photo.png"}).encode()
        return Call(method="POST", target=COMMUNITY, fields={"content-type": "application/json"}), document

    def append(self, target: str, offset: int, size: int, length: int) -> Call:
        value = f"bytes {offset}-{offset + size - 1}/{length}" if size else f"bytes */{length}"
        return Call(method="PATCH", target=target, fields={"content-range": value, "content-type": "image/png"})

    def question(self, target: str) -> Call:
        return Call(method="HEAD", target=target)

    def download(self, target: str) -> Call:
        return Call(method="GET", target=f"/.api2/binaries/{target.rsplit('/', 1)[-1]}/download/photo.png")

    def is_complete(self, answer: Answer, length: int) -> bool:
        return answer.status == 200 and answer.offset == length


DIALECTS: dict[str, Dialect] = {"tus": Tus(), "ietf": Ietf(), "attachments": Attachments()}


class Upload:
    """
    One upload as its client sees it; every call says over which connection it goes.
    """

    def __init__(self, dialect: Dialect, content: bytes) -> None:
        self.dialect = dialect
        self.content = content
        self.length = len(content)
        self.target = ""

    def __repr__(self) -> str:
        return f"<Upload {type(self.dialect).__name__} {self.target} {self.length} bytes>"

    def create(self, wire: Wire, *, deferred: bool = False) -> Upload:
        """
        Begin it, and tell its length only if that is not *deferred*.
        """
        call, document = self.dialect.create(None if deferred else self.length)
        answer = wire.ask(call, document)

        assert 201 == answer.status, answer
        self.target = urlsplit(answer.fields["location"]).path
        return self

    def head(self, offset: int, size: int | None = None, **more: str) -> bytes:
        """
        Return the head of an append of *size* bytes, or of all that are missing, as it goes over the wire.
        """
        size = self.length - offset if size is None else size
        return self.dialect.append(self.target, offset, size, self.length).encode(content_length=str(size), **more)

    def append(self, wire: Wire, offset: int, size: int | None = None, more: Mapping[str, str] | None = None) -> Answer:
        """
        Send *size* bytes, or all that are missing, with *more* fields.
        """
        stop = self.length if size is None else offset + size
        call = self.dialect.append(self.target, offset, stop - offset, self.length)
        call = dataclasses.replace(call, fields={**call.fields, **(more or {})})
        return wire.ask(call, memoryview(self.content)[offset:stop])

    def question(self, wire: Wire) -> Answer:
        """
        Ask how far it is.
        """
        return wire.ask(self.dialect.question(self.target))

    def is_complete(self, answer: Answer) -> bool:
        """
        Say whether *answer* promises that all of it is there.
        """
        return self.dialect.is_complete(answer, self.length)

    def download(self, wire: Wire) -> Answer:
        """
        Fetch it.
        """
        return wire.ask(self.dialect.download(self.target))
