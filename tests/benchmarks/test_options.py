"""
`benchmarks.options` and `benchmarks.targets`
"""

from __future__ import annotations

import pytest

from benchmarks.options import parse
from benchmarks.sizes import GiB, MiB


def test_defaults() -> None:
    """
    Without arguments the limit, Holdfast thrice and @tus/server take 1 GiB in five rounds, and Holdfast 4 GiB for its memory.
    """
    options = parse([])

    assert [target.name for target in options.targets] == ["limit", "holdfast-none", "holdfast-off", "holdfast", "tus-node"]
    assert (GiB, 1, 5, 4 * GiB) == (options.size, options.streams, options.rounds, options.rss)


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
        (
            ["--only", "nobody"],
            "there is no server named nobody; there are limit, holdfast-none, holdfast-off, holdfast, tus-node",
        ),
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
