"""
What anybody would write: ``upload_fileobj`` of boto3 with parts of 8 MiB over four threads; prints seconds and CPU-seconds.

    python boto3_upload.py BUCKET KEY FILE
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

MiB = 1024 * 1024


def main() -> None:
    """Upload one file, and say what that took."""
    bucket, key, name = sys.argv[1:]
    client = boto3.client(
        "s3", endpoint_url=os.environ["HOLDFAST_S3_ENDPOINT_URL"], config=Config(s3={"addressing_style": "path"})
    )
    transfer = TransferConfig(multipart_threshold=8 * MiB, multipart_chunksize=8 * MiB, max_concurrency=4)
    with Path(name).open("rb") as file:
        wall, cpu = time.monotonic(), time.process_time()
        client.upload_fileobj(file, bucket, key, Config=transfer)
        print(json.dumps({"seconds": time.monotonic() - wall, "cpu": time.process_time() - cpu}))


if __name__ == "__main__":
    main()
