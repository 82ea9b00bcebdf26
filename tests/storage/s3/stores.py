"""
S3 byte stores for tests, and the calls that they make.
"""

from __future__ import annotations

import functools
import secrets
from typing import Any

import boto3

from servers.s3 import S3Account
from storage.s3.options import S3Options
from storage.s3.store import S3ByteStore
from tests.servers.fixtures import Bucket


@functools.cache
def session(account: S3Account) -> boto3.session.Session:
    """Return a session that opens the server; to make one takes a while."""
    return boto3.session.Session(aws_access_key_id=account.key, aws_secret_access_key=account.secret, region_name=account.region)


def s3_store(bucket: Bucket, **options: Any) -> S3ByteStore:  # noqa: ANN401  # every option has a type of its own
    """Return a store that has its names in *bucket* for itself, and does not wait long for what does not answer."""
    given = {"prefix": f"{secrets.token_hex(6)}/", "endpoint_url": bucket.account.endpoint, "threads": 8, "patience": 5.0}
    return S3ByteStore(S3Options(bucket=bucket.name, **{**given, **options}), session(bucket.account))
