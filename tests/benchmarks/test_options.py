"""
`benchmarks.options` and `benchmarks.targets`
"""

from __future__ import annotations

import pytest

from benchmarks.options import parse
from benchmarks.sizes import GiB, MiB
from benchmarks.workloads import Workload

NAMES = [
    "limit",
    "limit-synced",
    "raw-asgi",
    "holdfast-none",
    "holdfast-none-off",
    "holdfast",
    "holdfast-off",
    "holdfast-tls",
    "holdfast-tls-off",
    "tus-node",
]


def test_defaults() -> None:
    """
    Without arguments everything is measured: with 1 GiB in five rounds, 5,000 slow uploads, and 4 GiB for the memory.
    """
    options = parse([])

    assert [target.name for target in options.targets] == NAMES
    assert tuple(Workload) == options.workloads
    assert (GiB, 16, 5, 4 * GiB) == (options.size, options.streams, options.rounds, options.rss)
    assert (64, 5000, 4.0) == (options.short, options.slow, options.slow_every)


def test_workload() -> None:
    """
    ``--workload`` leaves the others out, and keeps the order.
    """
    options = parse(["--workload", "slow", "--workload", "one"])

    assert (Workload.ONE, Workload.SLOW) == options.workloads


def test_quick() -> None:
    """
    ``--quick`` is little of everything, except for what was asked for.
    """
    options = parse(["--quick", "--slow", "7"])

    assert (4 * MiB, 1, 7) == (options.size, options.rounds, options.slow)


def test_taking() -> None:
    """
    Each server is measured with what it can do; whatever the command line adds, with all that a tus server can.
    """
    options = parse(["--server", "tusd=tusd -port={port}"])
    taking = {workload: [target.name for target in options.taking(workload)] for workload in Workload}

    assert taking[Workload.MEMORY] == ["holdfast"]
    assert taking[Workload.TLS] == ["holdfast-tls", "holdfast-tls-off"]
    assert taking[Workload.SMALL] == ["raw-asgi", "holdfast-none", "holdfast", "tus-node", "tusd"]
    assert [workload for workload, names in taking.items() if "tusd" in names] == [
        Workload.ONE,
        Workload.STREAMS,
        Workload.SHORT,
        Workload.SMALL,
        Workload.SLOW,
        Workload.DOWNLOAD,
    ]


def test_only() -> None:
    """
    ``--only`` leaves the others out, and keeps the order.
    """
    options = parse(["--only", "holdfast", "--only", "limit", "--size", "4MiB"])

    assert [target.name for target in options.targets] == ["limit", "holdfast"]
    assert 4 * MiB == options.size


def test_server() -> None:
    """
    A server is a name, a path for new uploads and a command; a slash or an equals sign in the command is its own affair.
    """
    options = parse(["--server", "tusd@/up/=tusd -port={port} -upload-dir '{dir}/my files'", "--only", "tusd"])
    (target,) = options.targets

    assert (target.name, target.path) == ("tusd", "/up/")
    assert target.command == ("tusd", "-port={port}", "-upload-dir", "{dir}/my files")


def test_url() -> None:
    """
    A running server is a name and a URL; whoever wants its CPU time tells its process.
    """
    url = "http://127.0.0.1:1080/files/"
    options = parse(["--url", f"mine={url}", "--url", f"other={url}", "--pid", "mine=4711", "--only", "mine", "--only", "other"])

    assert [("mine", url, 4711), ("other", url, None)] == [(target.name, target.url, target.pid) for target in options.targets]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "much"], "much is not a size"),
        (["--size", "6GiB"], "6GiB is more than 5 GiB"),
        (["--rss", "6GiB"], "6GiB is more than 5 GiB"),
        (["--size", "1"], "too little to measure"),
        (["--rounds", "0"], "0 is not a number from 1"),
        (["--streams", "-1"], "-1 is not a number from 1"),
        (["--only", "nobody"], f"there is no server named nobody; there are {', '.join(NAMES)}"),
        (["--workload", "much"], "much is not a workload; there are one, streams, short, small, slow, download, tls, memory"),
        (["--slow-every", "often"], "often is not a number of seconds"),
        (["--slow-every", "60"], "60 is not a number of seconds from 0.05 to 30"),
        (["--slow", "0"], "0 is not a number from 1"),
        (["--server", "tusd"], "tusd is not NAME=COMMAND"),
        (["--server", "../up=tusd {port}"], "is not NAME=COMMAND"),
        (["--server", "tusd=tusd -port 1080"], "the command of tusd has no {port}"),
        (["--server", "limit=tusd {port}"], "there are two servers named limit"),
        (["--url", "mine=https://127.0.0.1/files"], "is not an http:// URL"),
        (["--pid", "limit=1"], "--pid limit: there is no --url of that name"),
        (["--pid", "mine=first"], "is not NAME=PID"),
    ],
)
def test_refuses(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """
    What cannot be measured is refused with a sentence that says why, before anything runs.
    """
    with pytest.raises(SystemExit) as ended:
        parse(arguments)

    assert ended.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())
