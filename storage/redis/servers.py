"""
The clients of one server, of the primary that Sentinels name, or of the nodes of a Cluster (`holdfast.storage.redis.address`).

None of them connects before the first command, and none retries: only `holdfast.storage.redis.client` knows which commands may be
repeated.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Protocol

from redis.asyncio import ConnectionPool, Redis, RedisCluster, Sentinel
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

from holdfast.storage.redis.address import Address, parse_address

SECONDS = 1.0
SOCKET_TIMEOUT = 2 * SECONDS
# Sentinels are asked one after the other until one knows.
SENTINEL_TIMEOUT = 0.5 * SECONDS


class Servers(Protocol):
    """The clients of one Redis, whichever server is its primary."""

    commands: Redis | RedisCluster
    counts_receivers: bool
    """Whether PUBLISH counts every subscriber, and not only those at one node."""

    async def listener(self) -> Redis:
        """Return a new client for a subscription."""
        ...

    async def refresh_primary(self) -> None:
        """Check whether the primary has changed, if the client does not notice that by itself."""
        ...

    async def forget(self) -> None:
        """Drop the connections to a server that turned out not to be the primary."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


def _patience() -> dict[str, Any]:
    """Return the options of all connections."""
    return {
        "protocol": 3,
        "socket_timeout": SOCKET_TIMEOUT,
        "socket_connect_timeout": SOCKET_TIMEOUT,
        "retry": Retry(NoBackoff(), 0),
        "driver_info": None,  # saves a round trip per connection
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }


class SingleServer:
    """`Servers` of one server."""

    counts_receivers = True

    def __init__(self, address: Address, connections: int) -> None:
        self._options = {**_patience(), **address.options}
        self.commands: Redis | RedisCluster = self._client(connections)

    def _client(self, connections: int) -> Redis:
        return Redis.from_pool(ConnectionPool(max_connections=connections, **self._options))

    async def listener(self) -> Redis:
        return self._client(1)

    async def refresh_primary(self) -> None:
        pass  # there is only one server

    async def forget(self) -> None:
        # Its name may resolve to another server now.
        if isinstance(self.commands, Redis):
            await self.commands.connection_pool.disconnect(inuse_connections=False)

    async def close(self) -> None:
        await self.commands.aclose()


class _Sentinels(Sentinel):
    """Sentinels that keep all their hosts."""

    def __init__(self, hosts: Sequence[tuple[str, int]], **options: Any) -> None:  # noqa: ANN401  # those of redis-py
        super().__init__(list(hosts), **options)  # type: ignore[no-untyped-call]
        self._all = tuple(self.sentinels)

    async def discover_master(self, service_name: str) -> Any:  # noqa: ANN401  # an address, as the pool takes it
        try:
            return await super().discover_master(service_name)
        finally:
            # redis-py moves a Sentinel that answers to the front by swapping.  Two such swaps at the same time (redis-py 8.1.0)
            # leave one Sentinel twice in the list, and drop another without closing it.
            self.sentinels[:] = dict.fromkeys([*self.sentinels, *self._all])


class SentinelServers:
    """`Servers` of a service that Sentinels monitor."""

    counts_receivers = True

    def __init__(self, address: Address, connections: int) -> None:
        options = {**_patience(), **address.options}
        asking = _patience() | {"socket_timeout": SENTINEL_TIMEOUT, "socket_connect_timeout": SENTINEL_TIMEOUT}
        for name in ("username", "password"):
            asking[name] = options.pop(f"sentinel_{name}", None)
        options["ssl"] = options.pop("connection_class", None) is SSLConnection
        self._sentinel = _Sentinels(address.hosts, sentinel_kwargs=asking, **options)
        self._service = address.service
        self._pool = SentinelConnectionPool(  # type: ignore[no-untyped-call]
            self._service, self._sentinel, max_connections=connections, **options
        )
        self.commands: Redis | RedisCluster = Redis.from_pool(self._pool)

    async def listener(self) -> Redis:
        client: Redis = self._sentinel.master_for(self._service, max_connections=1)
        return client

    async def refresh_primary(self) -> None:
        pool = self._pool
        before = pool.master_address
        # A former primary that the Sentinels could not reach may still accept writes.  This drops idle connections to it.
        if await pool.get_master_address() != before:  # type: ignore[no-untyped-call]
            await pool.update_active_connections_for_reconnect()  # type: ignore[no-untyped-call]

    async def forget(self) -> None:
        pass  # its connections look for the primary by themselves

    async def close(self) -> None:
        await self.commands.aclose()
        await self._sentinel.aclose()


class ClusterServers:
    """`Servers` of a Cluster."""

    counts_receivers = False

    def __init__(self, address: Address, connections: int) -> None:
        options = {**_patience(), **address.options}
        options.pop("db", None)
        secure = options.pop("connection_class", None) is SSLConnection
        # A running command uses one connection of a node, and one more may be on its way back to the pool.
        self._cluster = RedisCluster(
            startup_nodes=[ClusterNode(host, port) for host, port in address.hosts],
            max_connections=2 * connections,
            ssl=secure,
            **options,
        )
        self.commands: Redis | RedisCluster = self._cluster
        self._options = options | ({"connection_class": SSLConnection} if secure else {})

    async def listener(self) -> Redis:
        await self._cluster.initialize()
        node = random.choice(self._cluster.get_primaries())  # noqa: S311  # any will do
        return Redis.from_pool(ConnectionPool(max_connections=1, host=node.host, port=node.port, **self._options))

    async def refresh_primary(self) -> None:
        pass  # its client does that by itself

    async def forget(self) -> None:
        pass  # likewise

    async def close(self) -> None:
        await self._cluster.aclose()
        # The client counts as closed while it reinitialises, and then leaves its connections open.
        await self._cluster.nodes_manager.aclose()
        await self._cluster.nodes_manager.aclose("startup_nodes")


def find_servers(url: str, connections: int) -> Servers:
    """
    Return the servers of *url*, with at most *connections* to each.

    :raises ValueError: *url* is malformed.
    """
    address = parse_address(url)
    match address.kind:
        case "sentinel":
            return SentinelServers(address, connections)
        case "cluster":
            return ClusterServers(address, connections)
        case _:
            return SingleServer(address, connections)
