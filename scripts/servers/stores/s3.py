"""
What a client of an S3 server has to know.
"""

from __future__ import annotations

import secrets
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

REGION = "us-east-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Account:
    """Where an S3 server is, and what opens it."""

    endpoint: str
    key: str
    secret: str
    region: str = REGION

    def client(self) -> S3Client:
        """Return a client, which the caller closes."""
        config = Config(
            s3={"addressing_style": "path", "payload_signing_enabled": False},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"mode": "standard", "total_max_attempts": 4},
            connect_timeout=3,
            read_timeout=60,
        )
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            region_name=self.region,
            config=config,
        )

    def make_bucket(self, name: str = "") -> str:
        """Make a bucket, a new one unless *name* is given, and return its name."""
        name = name or f"bucket-{secrets.token_hex(6)}"
        with closing(self.client()) as client, suppress(client.exceptions.BucketAlreadyOwnedByYou):
            client.create_bucket(Bucket=name)
        return name

    @property
    def environment(self) -> dict[str, str]:
        """What Holdfast and the tools of AWS take from the environment."""
        return {
            "HOLDFAST_S3_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": self.region,
        }
