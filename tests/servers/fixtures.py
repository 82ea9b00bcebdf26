"""
Real servers for every test that asks for one; whoever does not ask does not wait for any.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from servers.process import ROOT
from servers.stores.moto import MotoServer
from servers.stores.redis import RedisCluster, RedisServer
from servers.stores.s3 import S3Account
from servers.stores.sentinel import RedisSentinel
from servers.stores.swift import SwiftServer, folder_with_attributes


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """An empty bucket of one test's own."""

    account: S3Account
    name: str


@contextmanager
def place(wanted: Path) -> Iterator[Path]:
    """Have a folder where files can have extended attributes, as Swift needs: *wanted*, or else one in the repository."""
    folder = folder_with_attributes(wanted, ROOT / ".venv" / "swift-data" / f"{wanted.name}-{os.getpid()}")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder of the test's own that Swift can use, and that is gone at once when the test ends."""
    with place(tmp_path / "disk") as folder:
        yield folder


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Return a Redis for everybody, without files; a test that breaks one starts its own."""
    with RedisServer(tmp_path_factory.mktemp("redis"), append_only=False) as server:
        yield server


@pytest.fixture(scope="session")
def redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """Return a Redis Cluster for everybody, without files; a test that breaks one starts its own."""
    with RedisCluster(tmp_path_factory.mktemp("cluster"), append_only=False) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def redis_watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisSentinel]:
    """Return a Redis with a replica and sentinels for everybody, without files; a test that breaks one starts its own."""
    with RedisSentinel(tmp_path_factory.mktemp("watched"), append_only=False) as sentinel:
        yield sentinel


@pytest.fixture
def redis_sentinel(tmp_path: Path) -> Iterator[RedisSentinel]:
    """Return a Redis with a replica and sentinels, to be broken."""
    with RedisSentinel(tmp_path / "sentinel") as sentinel:
        yield sentinel


@pytest.fixture(scope="session")
def swift_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwiftServer]:
    """Return a real S3 server for everybody; a test that breaks one thaws or starts again what it broke."""
    with place(tmp_path_factory.mktemp("swift")) as folder, SwiftServer(folder) as server:
        yield server


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MotoServer]:
    """Return moto's S3 server for everybody."""
    with MotoServer(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture
def swift(swift_server: SwiftServer) -> Bucket:
    """Return an empty bucket of Swift."""
    return Bucket(account=swift_server.account, name=swift_server.account.make_bucket())


@pytest.fixture
def moto(moto_server: MotoServer) -> Bucket:
    """Return an empty bucket of moto."""
    return Bucket(account=moto_server.account, name=moto_server.account.make_bucket())


@pytest.fixture(scope="session")
def swift_place(swift_server: SwiftServer) -> Bucket:
    """Return a bucket of Swift for everybody; a test takes a prefix of its own in it."""
    return Bucket(account=swift_server.account, name=swift_server.account.make_bucket())


@pytest.fixture(scope="session")
def moto_place(moto_server: MotoServer) -> Bucket:
    """Return a bucket of moto for everybody; a test takes a prefix of its own in it."""
    return Bucket(account=moto_server.account, name=moto_server.account.make_bucket())
