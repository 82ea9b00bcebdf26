"""
The turns: who is measured when, and what is read before and after.

All servers run for the whole time and take turns, round by round, so that what the machine does besides hits them alike.  Each
round begins with another server, so that none always follows the same neighbour.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import machine
from benchmarks.load import REQUESTS_PER_SMALL, Senders, Sent, elapsed, shares
from benchmarks.results import Burst, Measured, Memory, Transfer
from benchmarks.servers import Server
from benchmarks.wire import BenchError, Connection

CONCURRENCY = 8
WARM_UP = 5 * CONCURRENCY

Say = Callable[[str], None]


def warm_up(servers: Sequence[Server], senders: Senders) -> None:
    """
    Let every server answer a few requests unmeasured: what is loaded at first use is loaded, and what cannot work fails now.
    """
    for server in servers:
        try:
            _delete(server, senders.send_small(server.endpoint, WARM_UP, CONCURRENCY))
        except (BenchError, OSError) as error:
            raise BenchError(f"{server.name}: {error}") from error


def transfers(
    servers: Sequence[Server], senders: Senders, scratch: Path, say: Say, *, size: int, streams: int, rounds: int
) -> dict[str, list[Transfer]]:
    """
    Let *size* bytes flow into every server, *rounds* times.
    """
    results: dict[str, list[Transfer]] = {server.name: [] for server in servers}
    for turn, server in _turns(servers, rounds):
        machine.settle(scratch, size)
        transfer = _transfer(server, senders, size, streams)
        results[server.name].append(transfer)
        say(f"content {turn}: {server.name} {transfer.seconds:.2f} s")
    return results


def bursts(servers: Sequence[Server], senders: Senders, say: Say, *, count: int, rounds: int) -> dict[str, list[Burst]]:
    """
    Make *count* small uploads at every server, *rounds* times.
    """
    results: dict[str, list[Burst]] = {server.name: [] for server in servers}
    for turn, server in _turns(servers, rounds):
        before = server.cpu_seconds()
        sent = senders.send_small(server.endpoint, count, CONCURRENCY)
        cpu = _since(before, server)
        _delete(server, sent)
        burst = Burst(requests=count * REQUESTS_PER_SMALL, seconds=elapsed(sent), cpu=cpu)
        results[server.name].append(burst)
        say(f"small uploads {turn}: {server.name} {burst.seconds:.2f} s")
    return results


def memory(server: Server, senders: Senders, size: int) -> Memory:
    """
    Let *size* bytes flow into *server*, freshly started, in one upload.
    """
    _transfer(server, senders, size, 1)
    peak = server.peak_memory()
    if peak is None:
        raise BenchError(f"the memory of {server.name} is not known")
    return Memory(name=server.name, size=size, peak=peak)


def collect(servers: Sequence[Server], flowed: dict[str, list[Transfer]], burst: dict[str, list[Burst]]) -> list[Measured]:
    """
    Return what was measured of each server, with the most memory it has had in all that.
    """
    return [
        Measured(
            name=server.name,
            transfers=flowed.get(server.name, []),
            bursts=burst.get(server.name, []),
            peak=server.peak_memory(),
        )
        for server in servers
    ]


def _turns(servers: Sequence[Server], rounds: int) -> list[tuple[str, Server]]:
    turns = []
    for index in range(rounds):
        first = index % len(servers)
        turns += [(f"{index + 1}/{rounds}", server) for server in (*servers[first:], *servers[:first])]
    return turns


def _transfer(server: Server, senders: Senders, size: int, streams: int) -> Transfer:
    with Connection(server.endpoint) as control:
        uploads = [(control.create(share), share) for share in shares(size, streams)]
    before = server.cpu_seconds()
    sent = senders.send_large(server.endpoint, uploads)
    cpu = _since(before, server)
    # Servers close connections that were idle for long, so this is a new one.
    with Connection(server.endpoint) as control:
        for path, length in uploads:
            control.expect_stored(path, length)
            control.delete(path)
    return Transfer(size=size, seconds=elapsed(sent), cpu=cpu)


def _since(before: float | None, server: Server) -> float | None:
    now = server.cpu_seconds()
    return None if before is None or now is None else now - before


def _delete(server: Server, sent: Sequence[Sent]) -> None:
    with Connection(server.endpoint) as control:
        for part in sent:
            for path in part.paths:
                control.delete(path)
