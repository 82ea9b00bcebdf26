"""Translates the errors of S3 servers and botocore into storage errors."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

import urllib3.exceptions
from botocore import exceptions as boto

from holdfast.storage.errors import Corrupted, NoSpace, NotFound, StorageError, Unavailable


class Passing(Unavailable):
    """A failure that may pass in a moment."""


class MultipartGone(Corrupted):
    """The multipart upload does not exist: it was completed or aborted."""


class PartsDiffer(Corrupted):
    """The parts of the multipart upload are not the recorded ones."""


CREDENTIALS = (
    "the S3 server refuses the credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or a role of the "
    "instance, with the rights to list, read, write and delete in the bucket"
)
BUCKET = "the S3 server has no such bucket: create it, or set another bucket, region or endpoint"
REGION = "the bucket is in another region: set AWS_DEFAULT_REGION (or AWS_REGION) to it, or the endpoint of that region"
CLOCK = "the clocks of this machine and of the S3 server differ: set them"

# For each code the error, and what the operator can do about it, if anything.
CODES: Mapping[str, tuple[type[StorageError], str]] = MappingProxyType(
    {
        "NoSuchUpload": (MultipartGone, ""),
        "NoSuchKey": (NotFound, ""),
        "InvalidPart": (PartsDiffer, ""),
        "InvalidPartOrder": (PartsDiffer, ""),
        "EntityTooSmall": (PartsDiffer, ""),
        "InvalidRange": (Corrupted, ""),
        "BrokenMPU": (Corrupted, ""),  # Swift: a part of the object was overwritten
        "NoSuchBucket": (Unavailable, BUCKET),
        "InvalidBucketName": (Unavailable, BUCKET),
        "AccessDenied": (Unavailable, CREDENTIALS),
        "InvalidAccessKeyId": (Unavailable, CREDENTIALS),
        "SignatureDoesNotMatch": (Unavailable, CREDENTIALS),
        "ExpiredToken": (Unavailable, CREDENTIALS),
        "InvalidToken": (Unavailable, CREDENTIALS),
        "AuthorizationHeaderMalformed": (Unavailable, REGION),
        "PermanentRedirect": (Unavailable, REGION),
        "IllegalLocationConstraintException": (Unavailable, REGION),
        "RequestTimeTooSkewed": (Unavailable, CLOCK),
        "QuotaExceeded": (NoSpace, ""),
        "InsufficientStorage": (NoSpace, ""),
        "InsufficientCapacity": (NoSpace, ""),
        "NotEnoughSpace": (NoSpace, ""),
        "EntityTooLarge": (NoSpace, ""),
        "TooManyParts": (NoSpace, ""),
        "XMinioStorageFull": (NoSpace, ""),
        "XMinioAdminBucketQuotaExceeded": (NoSpace, ""),
        "BadDigest": (Passing, ""),  # the network damaged the content
        "XAmzContentChecksumMismatch": (Passing, ""),
        "IncompleteBody": (Passing, ""),
        "SlowDown": (Passing, ""),
        "InternalError": (Passing, ""),
        "RequestTimeout": (Passing, ""),
        "OperationAborted": (Passing, ""),
        "ConditionalRequestConflict": (Passing, ""),
    }
)
STATUSES: Mapping[int, tuple[type[StorageError], str]] = MappingProxyType(
    {
        301: (Unavailable, REGION),
        307: (Unavailable, REGION),
        403: (Unavailable, CREDENTIALS),
        404: (NotFound, ""),
        408: (Passing, ""),
        413: (NoSpace, ""),
        416: (Corrupted, ""),
        429: (Passing, ""),
        500: (Passing, ""),
        502: (Passing, ""),
        503: (Passing, ""),
        504: (Passing, ""),
        507: (NoSpace, ""),
    }
)
# Errors of connections; the first match decides.
TROUBLES: tuple[tuple[type[Exception], type[StorageError], str], ...] = (
    (boto.NoCredentialsError, Unavailable, CREDENTIALS),
    (boto.PartialCredentialsError, Unavailable, CREDENTIALS),
    (boto.CredentialRetrievalError, Unavailable, CREDENTIALS),
    (boto.SSLError, Unavailable, "the certificate of the S3 server is not trusted: set AWS_CA_BUNDLE, or another endpoint"),
    (boto.ConnectionError, Passing, ""),
    (boto.HTTPClientError, Passing, ""),
    (boto.IncompleteReadError, Passing, ""),
    (boto.BotoCoreError, Unavailable, ""),
    (urllib3.exceptions.HTTPError, Passing, ""),
    (ConnectionError, Passing, ""),
    (TimeoutError, Passing, ""),
)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def s3_errors(what: str) -> Iterator[None]:
    """Raise the errors of botocore as storage errors; *what* says what failed."""
    try:
        yield
    except boto.ClientError as error:
        raise _translate(error, what) from error
    except KeyError as error:
        # botocore takes the head of an answer that was cut off for a whole one.
        raise Passing(f"{what}: the answer of the S3 server lacks {error}") from error
    except (boto.BotoCoreError, urllib3.exceptions.HTTPError, OSError) as error:
        for kind, meaning, hint in TROUBLES:
            if isinstance(error, kind):
                raise meaning(f"{what}: {hint or error}") from error
        full = isinstance(error, OSError) and error.errno in FULL
        raise (NoSpace if full else Unavailable)(f"{what}: {error}") from error


def _translate(error: boto.ClientError, what: str) -> StorageError:
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    meaning, hint = CODES.get(code) or STATUSES.get(status) or (Unavailable, "")
    return meaning(f"{what}: {hint}" if hint else f"{what}: {error}")
