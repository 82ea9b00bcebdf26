"""
S3 servers as tests have them.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from servers.process import ServerError
from servers.stores.swift import SwiftServer, folder_with_attributes
from tests.servers.fixtures import Bucket

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

MiB = 1024**2


def put_in_parts(bucket: Bucket, key: str, parts: list[bytes]) -> None:
    """Put an object by a multipart upload."""
    done: list[CompletedPartTypeDef] = []
    with closing(bucket.account.client()) as client:
        upload = client.create_multipart_upload(Bucket=bucket.name, Key=key)["UploadId"]
        for number, part in enumerate(parts, 1):
            answer = client.upload_part(Bucket=bucket.name, Key=key, UploadId=upload, PartNumber=number, Body=part)
            done.append({"ETag": answer["ETag"], "PartNumber": number})
        client.complete_multipart_upload(Bucket=bucket.name, Key=key, UploadId=upload, MultipartUpload={"Parts": done})


@pytest.mark.parametrize("kind", ["swift", "moto"])
def test_parts(kind: str, request: pytest.FixtureRequest) -> None:
    """An object that was put in parts is read as one."""
    bucket: Bucket = request.getfixturevalue(kind)
    parts = [b"a" * 5 * MiB, b"b" * 5 * MiB, b"c"]
    put_in_parts(bucket, "folder/key", parts)
    with closing(bucket.account.client()) as client:
        content = client.get_object(Bucket=bucket.name, Key="folder/key")["Body"].read()

    assert b"".join(parts) == content


def test_buckets_are_empty(swift: Bucket, moto: Bucket) -> None:
    """Each test has a bucket of its own."""
    for bucket in (swift, moto):
        with closing(bucket.account.client()) as client:
            assert 0 == client.list_objects_v2(Bucket=bucket.name)["KeyCount"]


def test_swift_takes_ten_thousand_parts(swift: Bucket) -> None:
    """The last number of a part is 10,000, as with AWS."""
    with closing(swift.account.client()) as client:
        upload = client.create_multipart_upload(Bucket=swift.name, Key="key")["UploadId"]
        client.upload_part(Bucket=swift.name, Key="key", UploadId=upload, PartNumber=10_000, Body=b"1")

        with pytest.raises(ClientError, match="InvalidArgument"):
            client.upload_part(Bucket=swift.name, Key="key", UploadId=upload, PartNumber=10_001, Body=b"1")


def test_swift_survives(disk: Path) -> None:
    """What was put is there after a kill of all processes; while one is away its part of the work is not done."""
    with SwiftServer(disk) as server:
        bucket = Bucket(account=server.account, name=server.account.make_bucket("mine"))
        put_in_parts(bucket, "key", [b"once"])
        server.kill()
        server.start()
        with closing(server.account.client()) as client:
            kept = client.get_object(Bucket="mine", Key="key")["Body"].read()
            server.kill("object")
            with pytest.raises(ClientError, match=r"503|ServiceUnavailable|404"):
                client.get_object(Bucket="mine", Key="key")
            server.freeze("container")
            server.thaw("container")
            server.start()
            again = client.get_object(Bucket="mine", Key="key")["Body"].read()

    assert (b"once", b"once") == (kept, again)


def test_swift_moves(disk: Path) -> None:
    """A server in a folder that another one had has what that one kept, at other ports."""
    with SwiftServer(disk) as server:
        bucket = Bucket(account=server.account, name=server.account.make_bucket("mine"))
        put_in_parts(bucket, "key", [b"once"])
    with SwiftServer(disk) as server, closing(server.account.client()) as client:
        assert b"once" == client.get_object(Bucket="mine", Key="key")["Body"].read()


def test_folders_without_attributes(tmp_path: Path) -> None:
    """Swift says where it cannot keep anything, and another folder is found."""
    with pytest.raises(ServerError, match="extended attributes"):
        SwiftServer(Path("/proc/self"))
    with pytest.raises(ServerError, match="/proc/self"):
        folder_with_attributes(Path("/proc/self"))

    assert tmp_path / "new" == folder_with_attributes(Path("/proc/self"), tmp_path / "new")
