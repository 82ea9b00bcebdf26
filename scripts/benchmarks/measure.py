"""
The turns: who is measured when, and what is read before and after.

All servers of a workload run for the whole time and take turns, round by round, so that what the machine does besides hits them
alike.  Each round begins with another server, so that none always follows the same neighbour.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from benchmarks import machine
from benchmarks.figures.results import Burst, Memory, Small, Transfer
from benchmarks.loads.load import CONCURRENCY, REQUESTS_PER_SMALL, Senders, Sent, shares
from benchmarks.loads.wire import BenchError, Connection
from benchmarks.servers import Server

T = TypeVar("T")

WARM_UP = 5 * CONCURRENCY

Say = Callable[[str], None]


def warm_up(servers: Sequence[Server], senders: Senders) -> None:
    """
    Let every server answer a few requests unmeasured: what is loaded at first use is loaded, and what cannot work fails now.
    """
    for server in servers:
        try:
            senders.delete(server.endpoint, senders.send_small(server.endpoint, WARM_UP).paths)
        except (BenchError, OSError) as error:
            raise BenchError(f"{server.name}: {error}") from error


def transfers(
    servers: Sequence[Server], senders: Senders, scratch: Path, say: Say, *, size: int, streams: int, each: int = 1, rounds: int
) -> dict[str, list[Transfer]]:
    """Let *size* bytes flow into every server, *rounds* times: over so many *streams*, in so many uploads *each*."""
    results: dict[str, list[Transfer]] = {server.name: [] for server in servers}
    for turn, server in turns(servers, rounds):
        machine.settle(scratch, size)
        transfer = fill(server, senders, size, streams, each)
        results[server.name].append(transfer)
        say(f"content {turn}: {server.name} {transfer.seconds:.2f} s")
    return results


def bursts(servers: Sequence[Server], senders: Senders, say: Say, *, count: int, rounds: int) -> dict[str, list[Small]]:
    """
    Make *count* small uploads at every server, *rounds* times; and as many again, all creates before all PATCHes.

    None is deleted: ext4 without a journal looks at every file that was deleted in the last minutes when it makes a new one.
    """
    results: dict[str, list[Small]] = {server.name: [] for server in servers}
    for turn, server in turns(servers, rounds):
        whole, _ = _burst(server, count * REQUESTS_PER_SMALL, partial(senders.send_small, server.endpoint, count))
        creates, created = _burst(server, count, partial(senders.create, server.endpoint, count))
        appends, _ = _burst(server, count, partial(senders.append_small, server.endpoint, created.paths))
        results[server.name].append(Small(whole=whole, creates=creates, appends=appends))
        say(f"small uploads {turn}: {server.name} {whole.seconds:.2f} s")
    return results


def memory(server: Server, senders: Senders, size: int) -> Memory:
    """Let *size* bytes flow into *server*, freshly started, in one upload."""
    fill(server, senders, size, 1)
    peak = server.peak_memory()
    if peak is None:
        raise BenchError(f"the memory of {server.name} is not known")
    return Memory(name=server.name, size=size, peak=peak)


def fill(server: Server, senders: Senders, size: int, streams: int, each: int = 1) -> Transfer:
    """
    Let *size* bytes flow into *server* over so many *streams*, in so many uploads *each*; insist that they arrived, and give them
    up.
    """
    with Connection(server.endpoint) as control:
        uploads = [[(control.create(part), part) for part in shares(share, each)] for share in shares(size, streams)]
    before = server.cpu_seconds()
    sent = senders.send(server.endpoint, uploads)
    cpu = since(before, server)
    # Servers close connections that were idle for long, so this is a new one.
    with Connection(server.endpoint) as control:
        for stream in uploads:
            for path, length in stream:
                control.expect_stored(path, length)
                control.delete(path)
    return Transfer(size=size, seconds=sent.seconds, cpu=cpu)


def turns(servers: Sequence[T], rounds: int) -> list[tuple[str, T]]:
    """Return whose turn it is, with the number of the round; each round begins with another one."""
    order = []
    for index in range(rounds):
        first = index % len(servers)
        order += [(f"{index + 1}/{rounds}", server) for server in (*servers[first:], *servers[:first])]
    return order


def since(before: float | None, server: Server) -> float | None:
    """Return the CPU-seconds that *server* has used since *before*."""
    now = server.cpu_seconds()
    return None if before is None or now is None else now - before


def _burst(server: Server, requests: int, send: Callable[[], Sent]) -> tuple[Burst, Sent]:
    before = server.cpu_seconds()
    sent = send()
    return Burst(requests=requests, seconds=sent.seconds, cpu=since(before, server)), sent
