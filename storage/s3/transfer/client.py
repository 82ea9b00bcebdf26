"""The boto3 client with which a process calls an S3 server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from holdfast.storage.s3.options import Addressing, S3Options

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SECONDS = 1

CONNECT_TIMEOUT = 3 * SECONDS
REGION = "us-east-1"  # the name of the only region at servers without regions


def make_client(options: S3Options, session: boto3.session.Session | None = None) -> S3Client:
    """
    Return a client, whose calls may be made on any thread.

    With `when_required` alone, botocore signs the payload, which costs a SHA-256 of everything; hence
    `payload_signing_enabled`.
    """
    session = session or boto3.session.Session()
    style = Addressing.PATH if options.addressing is Addressing.AUTO and options.endpoint_url else options.addressing
    config = Config(
        signature_version="s3v4",
        max_pool_connections=2 * options.threads,
        connect_timeout=min(CONNECT_TIMEOUT, options.timeout),
        read_timeout=options.timeout,
        tcp_keepalive=True,
        retries={"mode": "standard", "total_max_attempts": options.tries},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": style.value, "payload_signing_enabled": False},
    )
    region = session.region_name or (REGION if options.endpoint_url else None)
    return session.client("s3", endpoint_url=options.endpoint_url, region_name=region, config=config)
