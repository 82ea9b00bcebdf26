"""
What can be measured: Holdfast, its peers, the limit, and whatever the command line adds.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.wire import Endpoint

PEERS = Path(__file__).parent / "peers"

LIMIT = "limit"
HOLDFAST = "holdfast"
# A name is also that of a folder.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """
    A tus server: either a command that starts it or a URL where it runs already.

    In *command* and *environment*, ``{port}`` and ``{dir}`` stand for the port to listen on and the directory to keep uploads in.
    """

    name: str
    about: str
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    path: str = "/files"
    """Where the server takes new uploads."""
    ready: str = ""
    """A path that answers 200 as soon as the server can serve; without one, a server that listens is ready."""
    packages: Path | None = None
    """A folder whose npm packages the server needs."""
    url: str = ""
    pid: int | None = None
    """The process behind *url*, if its CPU time and memory shall be measured too."""


def _holdfast(name: str, about: str, **environment: str) -> Target:
    return Target(
        name=name,
        about=about,
        command=(str(Path(sys.executable).with_name("holdfast")), "serve"),
        environment={"HOLDFAST_PORT": "{port}", "HOLDFAST_DATA_DIR": "{dir}", **environment},
        ready="/readyz",
    )


def built_in() -> list[Target]:
    """
    Return what is measured when nothing else is said.
    """
    return [
        Target(
            name=LIMIT,
            about="the kernel's share: recv_into and pwrite in a loop, no protocol",
            command=(sys.executable, str(PEERS / "limit.py"), "{port}", "{dir}"),
        ),
        _holdfast("holdfast-none", "Holdfast, durability none: as durable as its peers are", HOLDFAST_DURABILITY="none"),
        _holdfast(
            "holdfast-off",
            "the same with the hand-off of content off",
            HOLDFAST_DURABILITY="none",
            HOLDFAST_HANDOFF="off",
        ),
        _holdfast(HOLDFAST, "Holdfast as it is shipped: on the disk before every acknowledged offset"),
        Target(
            name="tus-node",
            about=f"@tus/server {_version('@tus/server')} with @tus/file-store {_version('@tus/file-store')}",
            command=("node", str(PEERS / "tus-server.mjs"), "{port}", "{dir}"),
            packages=PEERS,
        ),
    ]


def parse_command(text: str) -> Target:
    """
    Return the target that ``NAME=COMMAND`` or ``NAME@PATH=COMMAND`` describes.

    :raises ValueError: it describes none.
    """
    label, equals, command = text.partition("=")
    name, _, path = label.partition("@")
    words = tuple(shlex.split(command))
    if not (NAME.fullmatch(name) and equals and words):
        raise ValueError(f"{text} is not NAME=COMMAND or NAME@PATH=COMMAND")
    if not any("{port}" in word for word in words):
        raise ValueError(f"the command of {name} has no {{port}}: the bench chooses where it listens")
    return Target(name=name, about=command.strip(), command=words, path=path or "/files")


def parse_url(text: str) -> Target:
    """
    Return the target that ``NAME=URL`` describes; the URL is where new uploads are made.

    :raises ValueError: it describes none.
    """
    name, _, url = text.partition("=")
    if not (NAME.fullmatch(name) and url):
        raise ValueError(f"{text} is not NAME=URL")
    Endpoint.from_url(url)
    return Target(name=name, about=url, url=url)


def parse_pid(text: str) -> tuple[str, int]:
    """
    Return the name and the process of ``NAME=PID``.

    :raises ValueError: it is something else.
    """
    name, _, pid = text.partition("=")
    if not (name and pid.isdecimal()):
        raise ValueError(f"{text} is not NAME=PID")
    return name, int(pid)


def _version(package: str) -> str:
    dependencies: dict[str, str] = json.loads((PEERS / "package.json").read_text())["dependencies"]
    return dependencies[package]
