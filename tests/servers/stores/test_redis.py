"""
Redis as tests have it: alone, as a cluster, and watched by sentinels.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from servers.stores.redis import RedisCluster, RedisServer
from servers.stores.sentinel import RedisSentinel


def test_keeps_what_it_answered(tmp_path: Path) -> None:
    """What was answered is there after a kill; without its data the server begins anew."""
    with RedisServer(tmp_path) as server:
        server.ask("SET", "key", "value")
        server.restart()
        kept = server.ask("GET", "key")
        server.restart_empty()

        assert b"value" == kept
        assert None is server.ask("GET", "key")


def test_without_files(tmp_path: Path) -> None:
    """A server without files forgets at its end."""
    with RedisServer(tmp_path, append_only=False) as server:
        server.ask("SET", "key", "value")
        server.stop()
        server.start()

        assert None is server.ask("GET", "key")


def test_frozen(tmp_path: Path) -> None:
    """A frozen server answers nobody; when it thaws it goes on."""
    with (
        RedisServer(tmp_path, append_only=False) as server,
        redis.Redis(port=server.port, socket_timeout=0.1) as client,
    ):
        server.freeze()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        server.thaw()

        assert True is client.ping()


def test_shared(redis_server: RedisServer) -> None:
    """The server of everybody has a URL, and can be emptied."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.set("key", "value")
        redis_server.flush()

        assert 0 == client.dbsize()


def test_cluster(redis_cluster: RedisCluster) -> None:
    """Keys of any slot are taken, by the master that has it."""
    with redis.RedisCluster.from_url(redis_cluster.masters[0].url) as client:
        for number in range(30):
            client.set(f"key-{number}", number)
        owners = {redis_cluster.owner(f"key-{number}") for number in range(30)}

        assert {"0", "1", "2"} == owners
        assert b"29" == client.get("key-29")
        assert b"7" == redis_cluster.masters[int(redis_cluster.owner("key-7"))].ask("GET", "key-7")


def test_cluster_without_a_master(tmp_path: Path) -> None:
    """Without full coverage the other masters go on; a master that is back has what it had."""
    with RedisCluster(tmp_path, full_coverage=False) as cluster:
        with redis.RedisCluster.from_url(cluster.masters[0].url) as client:
            client.set("key", "value")
        owner = cluster.owner("key")
        other = cluster.masters[(int(owner) + 1) % 3]
        cluster.kill(owner)
        alone = other.ask("CLUSTER", "INFO")
        cluster.start(owner)

        assert b"cluster_slots_assigned:16384" in alone
        assert b"value" == cluster.masters[int(owner)].ask("GET", "key")


def test_failover(redis_sentinel: RedisSentinel) -> None:
    """The replica takes the place of a primary that was killed, with its data; the old one comes back as a replica."""
    old = redis_sentinel.primary
    old.ask("SET", "key", "value")
    old.ask("WAIT", 1, 1000)
    seconds = redis_sentinel.fail_over()
    new = redis_sentinel.primary
    print(f"failover within {seconds:.1f} s")
    old.start()

    assert old is not new
    assert b"value" == new.ask("GET", "key")
    assert old is redis_sentinel.replica


def test_failover_of_a_frozen_primary(redis_sentinel: RedisSentinel) -> None:
    """A primary that stands still is replaced too."""
    old = redis_sentinel.primary
    old.freeze()
    redis_sentinel.wait_for_failover(old)
    new = redis_sentinel.primary
    new.ask("SET", "key", "value")
    old.thaw()

    assert old is not new
    assert b"value" == new.ask("GET", "key")


def test_everything_again(redis_sentinel: RedisSentinel) -> None:
    """After a failover and the end of all, the one that wrote last is the primary."""
    old = redis_sentinel.primary
    redis_sentinel.fail_over()
    redis_sentinel.primary.ask("SET", "key", "value")
    redis_sentinel.restart()

    assert old is redis_sentinel.replica
    assert b"value" == redis_sentinel.primary.ask("GET", "key")
    assert b"value" == old.ask("GET", "key")
