"""The requests to an S3 server about one bucket, and its answers."""

from __future__ import annotations

import base64
import functools
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import boto3
from botocore.exceptions import ClientError

from holdfast.storage.errors import NotFound
from holdfast.storage.s3.errors import MultipartGone, s3_errors
from holdfast.storage.s3.options import S3Options
from holdfast.storage.s3.parts.state import Extent, Part, Sums
from holdfast.storage.s3.transfer.buffers import Portion
from holdfast.storage.s3.transfer.calls import Calls
from holdfast.storage.s3.transfer.client import make_client
from holdfast.storage.s3.transfer.stream import Stream

if TYPE_CHECKING:
    from mypy_boto3_s3 import type_defs

LEAVE = 10.0
# The parameters that ask for the next page, and the members of the page before that have their values.
OBJECTS_NEXT = {"ContinuationToken": "NextContinuationToken"}
UPLOADS_NEXT = {"KeyMarker": "NextKeyMarker", "UploadIdMarker": "NextUploadIdMarker"}
PARTS_NEXT = {"PartNumberMarker": "NextPartNumberMarker"}
CRC_BYTES = 4
HEAD_CODES = {400: "AuthorizationHeaderMalformed", 404: "NoSuchBucket"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """
    An object as the server describes it; *crc* is the CRC-32 of its content, if the server knows it.

    Times are seconds since the epoch.
    """

    name: str
    size: int
    etag: str
    changed_at: float
    crc: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A multipart upload that was neither completed nor aborted."""

    name: str
    upload: str
    changed_at: float


class Bucket:
    """The objects and multipart uploads of one bucket.  Every method raises storage errors only."""

    def __init__(self, options: S3Options, session: boto3.session.Session | None = None) -> None:
        with s3_errors("cannot make the S3 client"):
            self._client = make_client(options, session)
        self._bucket = options.bucket
        self._sending = Calls("s3-send", options)
        self._reading = Calls("s3-read", options)

    async def put(self, name: str, portion: Portion) -> Part:
        """Make an object, and return its ETag and CRC-32."""

        def put() -> Part:
            request: type_defs.PutObjectRequestTypeDef = {
                "Bucket": self._bucket,
                "Key": name,
                "Body": cast("bytes", portion.body()),
            }
            if (crc := portion.crc()) is not None:
                request["ChecksumCRC32"] = _crc_text(crc)
            return Part(etag=_etag(self._client.put_object(**request)["ETag"]), crc=crc)

        return await self._sending.call(f"putting {name}", put)

    async def copy(self, source: str, target: str) -> None:
        """
        Make an object with the content of another.

        :raises NotFound: the source does not exist.
        """
        origin: type_defs.CopySourceTypeDef = {"Bucket": self._bucket, "Key": source}
        await self._sending.call(
            f"copying {source}", lambda: self._client.copy_object(Bucket=self._bucket, Key=target, CopySource=origin)
        )

    async def head(self, name: str) -> StoredObject | None:
        """Return the description of an object, or None if it does not exist."""
        request: type_defs.HeadObjectRequestTypeDef = {"Bucket": self._bucket, "Key": name, "ChecksumMode": "ENABLED"}
        try:
            head = await self._sending.call(f"looking for {name}", lambda: self._client.head_object(**request))
        except NotFound:
            return None
        of_all = head.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT"
        crc = _crc(head.get("ChecksumCRC32", "")) if of_all else None
        changed_at = head["LastModified"].timestamp()
        return StoredObject(name=name, size=head["ContentLength"], etag=_etag(head["ETag"]), changed_at=changed_at, crc=crc)

    async def open(self, name: str, start: int, stop: int) -> Stream:
        """
        Return a stream, already begun, of the bytes of an object from *start* up to *stop*, at least one.

        :raises NotFound: the object does not exist.
        :raises Corrupted: it ends before *stop*.
        """
        stream = Stream(functools.partial(self._get, name), self._reading.call, self._reading.call_once, start, stop, name)
        await stream.begin()
        return stream

    async def begin(self, name: str, *, summed: bool) -> tuple[str, Sums]:
        """Begin a multipart upload, whose parts have CRC-32s if *summed*; return its id, and which sums the server will keep."""
        request: type_defs.CreateMultipartUploadRequestTypeDef = {"Bucket": self._bucket, "Key": name}
        if summed:
            request |= {"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT"}
        begun = await self._sending.call(f"beginning {name}", lambda: self._client.create_multipart_upload(**request))
        known = Sums.WHOLE if begun.get("ChecksumType") == "FULL_OBJECT" else Sums.PARTS
        return begun["UploadId"], known if begun.get("ChecksumAlgorithm") == "CRC32" else Sums.NONE

    async def send(self, name: str, upload: str, number: int, portion: Portion) -> Part:
        """
        Send a part of a multipart upload, and return its ETag and CRC-32.

        :raises MultipartGone: the upload does not exist.
        """

        def send() -> Part:
            request: type_defs.UploadPartRequestTypeDef = {
                "Bucket": self._bucket,
                "Key": name,
                "UploadId": upload,
                "PartNumber": number,
                "Body": cast("bytes", portion.body()),
            }
            if (crc := portion.crc()) is not None:
                request["ChecksumCRC32"] = _crc_text(crc)
            return Part(etag=_etag(self._client.upload_part(**request)["ETag"]), crc=crc)

        with _uploads_gone():
            return await self._sending.call(f"sending part {number} of {name}", send)

    async def copy_part(self, source: str, extent: Extent, name: str, upload: str, number: int) -> str:
        """
        Copy a range of an object into a part of a multipart upload, and return its ETag.

        :raises NotFound: the source does not exist.
        :raises MultipartGone: the upload does not exist.
        """
        request: type_defs.UploadPartCopyRequestTypeDef = {
            "Bucket": self._bucket,
            "Key": name,
            "UploadId": upload,
            "PartNumber": number,
            "CopySource": {"Bucket": self._bucket, "Key": source},
            "CopySourceRange": f"bytes={extent.start}-{extent.start + extent.size - 1}",
        }
        copied = await self._sending.call(f"copying {source}", lambda: self._client.upload_part_copy(**request)["CopyPartResult"])
        return _etag(copied.get("ETag", ""))

    async def finish(self, name: str, upload: str, parts: Sequence[Part], size: int, sums: Sums, crc: int | None) -> str:
        """
        Make an object of the parts of a multipart upload, and return its ETag.

        A server that keeps *sums* compares them with those of the request: of each part, and, as *crc*, of the whole.

        :raises MultipartGone: the upload does not exist (any more).
        :raises PartsDiffer: its parts are not these.
        """
        completed: list[type_defs.CompletedPartTypeDef] = [
            {"PartNumber": number, "ETag": f'"{part.etag}"'} for number, part in enumerate(parts, 1)
        ]
        if sums is not Sums.NONE:
            for each, part in zip(completed, parts, strict=True):
                if part.crc is not None:
                    each["ChecksumCRC32"] = _crc_text(part.crc)
        request: type_defs.CompleteMultipartUploadRequestTypeDef = {
            "Bucket": self._bucket,
            "Key": name,
            "UploadId": upload,
            "MultipartUpload": {"Parts": completed},
            "MpuObjectSize": size,
        }
        if sums is Sums.WHOLE and crc is not None:
            request |= {"ChecksumCRC32": _crc_text(crc), "ChecksumType": "FULL_OBJECT"}
        with _uploads_gone():
            done = await self._sending.call(f"completing {name}", lambda: self._client.complete_multipart_upload(**request))
        return _etag(done.get("ETag", ""))

    async def abort(self, name: str, upload: str, *, insist: bool = True) -> None:
        """Abort a multipart upload; a missing one is no error.  *insist*: repeat the call if its failure may pass."""
        call = self._sending.call if insist else self._sending.call_once
        request: type_defs.AbortMultipartUploadRequestTypeDef = {"Bucket": self._bucket, "Key": name, "UploadId": upload}
        with suppress(NotFound, MultipartGone):
            await call(f"aborting {name}", lambda: self._client.abort_multipart_upload(**request))

    async def remove(self, name: str, *, insist: bool = True) -> None:
        """Delete an object; a missing one is no error.  *insist*: repeat the call if its failure may pass."""
        call = self._sending.call if insist else self._sending.call_once
        with suppress(NotFound):
            await call(f"deleting {name}", lambda: self._client.delete_object(Bucket=self._bucket, Key=name))

    async def objects(self, prefix: str) -> AsyncIterator[StoredObject]:
        """Yield the objects whose names begin with *prefix*."""
        list_ = functools.partial(self._client.list_objects_v2, Bucket=self._bucket, Prefix=prefix)
        async for page in self._pages(f"listing {prefix}", list_, OBJECTS_NEXT):
            for each in page.get("Contents", ()):
                changed_at = each["LastModified"].timestamp()
                yield StoredObject(name=each["Key"], size=each["Size"], etag=_etag(each.get("ETag", "")), changed_at=changed_at)

    async def uploads(self, prefix: str) -> AsyncIterator[Pending]:
        """Yield the multipart uploads whose names begin with *prefix*."""
        list_ = functools.partial(self._client.list_multipart_uploads, Bucket=self._bucket, Prefix=prefix)
        async for page in self._pages(f"listing uploads of {prefix}", list_, UPLOADS_NEXT):
            for each in page.get("Uploads", ()):
                yield Pending(name=each["Key"], upload=each["UploadId"], changed_at=each["Initiated"].timestamp())

    async def parts(self, name: str, upload: str) -> AsyncIterator[tuple[int, str, int]]:
        """
        Yield number, ETag and size in bytes of each part of a multipart upload.

        :raises MultipartGone: the upload does not exist.
        """
        list_ = functools.partial(self._client.list_parts, Bucket=self._bucket, Key=name, UploadId=upload)
        with _uploads_gone():
            async for page in self._pages(f"listing parts of {name}", list_, PARTS_NEXT):
                for each in page.get("Parts", ()):
                    yield each["PartNumber"], _etag(each["ETag"]), each["Size"]

    def link(
        self, name: str, seconds: int, disposition: str | None, content_type: str | None, content_encoding: str | None
    ) -> str:
        """Return a URL with which its bearer can read an object for that many *seconds*."""
        given = {
            "ResponseContentDisposition": disposition,
            "ResponseContentType": content_type,
            "ResponseContentEncoding": content_encoding,
        }
        place = {"Bucket": self._bucket, "Key": name} | {field: value for field, value in given.items() if value is not None}
        with s3_errors("signing a URL"):
            return self._client.generate_presigned_url("get_object", Params=place, ExpiresIn=seconds)

    async def ping(self) -> None:
        """Return if the bucket exists and can be accessed."""

        def ask() -> None:
            try:
                self._client.head_bucket(Bucket=self._bucket)
            except ClientError as error:
                # The answer to a HEAD has no error code.
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                error.response["Error"]["Code"] = HEAD_CODES.get(status, error.response["Error"]["Code"])
                raise

        await self._reading.call_once(f"the bucket {self._bucket}", ask)

    def close(self) -> None:
        """End the threads and close the connections."""
        # A silent server would keep a thread for the whole timeout.
        until = time.monotonic() + LEAVE
        for threads in (self._sending, self._reading):
            threads.close(max(0.0, until - time.monotonic()))
        self._client.close()

    def _get(self, name: str, start: int, stop: int) -> type_defs.GetObjectOutputTypeDef:
        return self._client.get_object(Bucket=self._bucket, Key=name, Range=f"bytes={start}-{stop - 1}")

    async def _pages(
        self, what: str, list_: Callable[..., Mapping[str, Any]], markers: Mapping[str, str]
    ) -> AsyncIterator[Mapping[str, Any]]:
        """Yield all pages.  (A paginator of boto3 that failed once reports the end when it is asked again.)"""
        place: dict[str, Any] = {}
        while True:
            page = await self._sending.call(what, functools.partial(list_, **place))
            yield page
            if not page.get("IsTruncated"):
                return
            place = {parameter: page[member] for parameter, member in markers.items() if member in page}


@contextmanager
def _uploads_gone() -> Iterator[None]:
    """Translate NotFound: some servers answer NoSuchKey for an unknown multipart upload."""
    try:
        yield
    except NotFound as error:
        raise MultipartGone(str(error)) from error


def _etag(quoted: str) -> str:
    return quoted.strip('"')


def _crc_text(crc: int) -> str:
    return base64.b64encode(crc.to_bytes(CRC_BYTES, "big")).decode()


def _crc(text: str) -> int | None:
    """Return the CRC-32 of an answer if it is one of the whole content; a sum of part sums has a dash."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return int.from_bytes(raw, "big") if len(raw) == CRC_BYTES else None
