"""
What servers and connections say is wrong, in storage words.
"""

from __future__ import annotations

import errno

import pytest
import urllib3.exceptions
from botocore import exceptions as boto

from holdfast.storage.errors import Corrupted, NoSpace, NotFound, StorageError, Unavailable
from holdfast.storage.s3.errors import CODES, STATUSES, MultipartGone, PartsDiffer, Passing, s3_errors


def said(code: str, status: int) -> boto.ClientError:
    """Return what botocore raises when a server says so."""
    facts = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return boto.ClientError(facts, "PutObject")  # type: ignore[arg-type]  # a server says less than botocore promises


def meaning(error: Exception) -> StorageError:
    """Return what *error* is raised as."""
    with pytest.raises(StorageError) as caught, s3_errors("putting kelp"):
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("NoSuchUpload", 404, MultipartGone),
        ("NoSuchKey", 404, NotFound),
        ("404", 404, NotFound),
        ("InvalidPart", 400, PartsDiffer),
        ("InvalidRange", 416, Corrupted),
        ("", 416, Corrupted),
        ("SlowDown", 503, Passing),
        ("ServiceUnavailable", 503, Passing),
        ("InternalError", 200, Passing),
        ("TooManyRequests", 429, Passing),
        ("QuotaExceeded", 403, NoSpace),
        ("Whatever", 507, NoSpace),
        ("Whatever", 413, NoSpace),
        ("AccessDenied", 403, Unavailable),
        ("Whatever", 400, Unavailable),
        ("NotImplemented", 501, Unavailable),
    ],
)
def test_servers(code: str, status: int, expected: type[StorageError]) -> None:
    """The code counts, or else the status; what is not known may be over another time."""
    error = meaning(said(code, status))

    assert expected is type(error)
    assert str(error).startswith("putting kelp: ")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (boto.NoCredentialsError(), Unavailable),
        (boto.EndpointConnectionError(endpoint_url="http://kelp"), Passing),
        (boto.ConnectTimeoutError(endpoint_url="http://kelp"), Passing),
        (boto.ReadTimeoutError(endpoint_url="http://kelp"), Passing),
        (boto.ConnectionClosedError(endpoint_url="http://kelp"), Passing),
        (boto.SSLError(endpoint_url="http://kelp", error=ValueError("who is that")), Unavailable),
        (boto.IncompleteReadError(actual_bytes=1, expected_bytes=2), Passing),
        (boto.ParamValidationError(report="no"), Unavailable),
        (urllib3.exceptions.ProtocolError("cut"), Passing),
        (ConnectionResetError("cut"), Passing),
        (KeyError("ETag"), Passing),
        (OSError(errno.ENOSPC, "full"), NoSpace),
        (OSError(errno.EIO, "broken"), Unavailable),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value.__name__,
)
def test_connections(error: Exception, expected: type[StorageError]) -> None:
    """What a connection or a file says is as good as what a server says."""
    assert expected is type(meaning(error))


def test_hints() -> None:
    """Where an operator has to do something, the error says what."""
    table = [*CODES.values(), *STATUSES.values()]

    assert {Unavailable} == {kind for kind, hint in table if hint}
    assert {hint for kind, hint in table if kind is Unavailable} == {hint for _, hint in table if hint}
    assert "AWS_ACCESS_KEY_ID" in str(meaning(said("SignatureDoesNotMatch", 403)))
    assert "AWS_DEFAULT_REGION" in str(meaning(said("PermanentRedirect", 301)))
    assert "clock" in str(meaning(said("RequestTimeTooSkewed", 403)))
