"""
Where the client of an S3 server looks for a bucket.
"""

from __future__ import annotations

from contextlib import closing

import pytest

from holdfast.storage.s3.options import Addressing, S3Options
from holdfast.storage.s3.transfer.client import make_client
from tests.storage.s3.stores import session

PATH, HOST = "http://s3.example:9000/photos/a?", "http://photos.s3.example:9000/a?"


@pytest.mark.parametrize(
    ("addressing", "expected"), [(Addressing.AUTO, PATH), (Addressing.PATH, PATH), (Addressing.VIRTUAL, HOST)]
)
def test_addressing(addressing: Addressing, expected: str) -> None:
    """A server of one's own is asked under its own name, unless the operator wants names of buckets."""
    options = S3Options(bucket="photos", endpoint_url="http://s3.example:9000", addressing=addressing)
    with closing(make_client(options, session("key", "secret", "us-east-1"))) as client:
        url = client.generate_presigned_url("get_object", Params={"Bucket": "photos", "Key": "a"})

    assert url.startswith(expected)
