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

from benchmarks.loads.wire import Endpoint
from benchmarks.workloads import CONTENT, EVERYTHING, Workload

PEERS = Path(__file__).parent / "peers"

LIMIT = "limit"
LIMIT_SYNCED = "limit-synced"
RAW_ASGI = "raw-asgi"
HOLDFAST = "holdfast"
HOLDFAST_NONE = "holdfast-none"
HOLDFAST_TLS = "holdfast-tls"
BEFORE = "before"
NGINX = "nginx"

# uvicorn as Holdfast runs it.
RAW = (
    *("--loop", "uvloop", "--http", "httptools", "--ws", "none", "--lifespan", "off", "--log-level", "warning"),
    *("--no-access-log", "--no-proxy-headers", "--no-server-header"),
)
SYNC_EVERY = 32  # MiB
# A name is also that of a folder.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """
    A tus server: either a command that starts it or a URL where it runs already.

    In *command* and *environment*, ``{port}`` and ``{dir}`` stand for the port to listen on and the directory to keep uploads in,
    ``{certificate}`` and ``{key}`` for the files that *tls* needs.
    """

    name: str
    about: str
    takes: frozenset[Workload] = EVERYTHING
    """What it is measured with."""
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    path: str = "/files"
    """Where the server takes new uploads."""
    ready: str = ""
    """A path that answers 200 as soon as the server can serve; without one, a server that listens is ready."""
    packages: Path | None = None
    """A folder whose npm packages the server needs."""
    tls: bool = False
    """Whether it takes connections through TLS only."""
    url: str = ""
    pid: int | None = None
    """The process behind *url*, if its CPU time and memory shall be measured too."""


def _holdfast(name: str, about: str, takes: frozenset[Workload] = EVERYTHING, **settings: str) -> Target:
    own = {"HOLDFAST_PORT": "{port}", "HOLDFAST_DATA_DIR": "{dir}"}
    return Target(
        name=name,
        about=about,
        takes=takes,
        command=(str(Path(sys.executable).with_name("holdfast")), "serve"),
        environment={**own, **{f"HOLDFAST_{setting.upper()}": value for setting, value in settings.items()}},
        ready="/readyz",
        tls="tls_key" in settings,
    )


def built_in() -> list[Target]:
    """Return what is measured when nothing else is said."""
    tls = {"durability": "none", "tls_certificate": "{certificate}", "tls_key": "{key}"}
    limit = (sys.executable, str(PEERS / "limit.py"), "{port}", "{dir}")
    return [
        Target(
            name=LIMIT,
            about="the kernel's share: recv_into and pwrite in a loop, no protocol",
            takes=CONTENT,
            command=limit,
        ),
        Target(
            name=LIMIT_SYNCED,
            about=f"the same with fdatasync at the end and after every {SYNC_EVERY} MiB, as often as Holdfast",
            takes=frozenset({Workload.ONE, Workload.STREAMS}),
            command=(*limit, str(SYNC_EVERY)),
        ),
        Target(
            name=RAW_ASGI,
            about="the share of uvicorn: an application that answers at once, and stores nothing",
            takes=frozenset({Workload.SMALL}),
            command=(sys.executable, "-m", "uvicorn", "--app-dir", str(PEERS), "raw_asgi:application", "--port", "{port}", *RAW),
        ),
        _holdfast(HOLDFAST_NONE, "Holdfast, durability none: as durable as its peers are", durability="none"),
        _holdfast(
            off(HOLDFAST_NONE),
            "the same with the hand-off of content off",
            CONTENT | {Workload.DOWNLOAD},
            durability="none",
            handoff="off",
        ),
        _holdfast(
            HOLDFAST,
            "Holdfast as it is shipped: on the disk before every acknowledged offset",
            EVERYTHING | {Workload.MEMORY},
        ),
        _holdfast(off(HOLDFAST), "the same with the hand-off of content off", CONTENT, handoff="off"),
        _holdfast(HOLDFAST_TLS, "Holdfast, durability none, through TLS", frozenset({Workload.TLS}), **tls),
        _holdfast(
            off(HOLDFAST_TLS), "the same with the hand-off of content off", frozenset({Workload.TLS}), handoff="off", **tls
        ),
        Target(
            name="tus-node",
            about=f"@tus/server {_version('@tus/server')} with @tus/file-store {_version('@tus/file-store')}",
            # Under Node.js 20 this version ends with an uncaught error when a download is over.
            takes=EVERYTHING - {Workload.DOWNLOAD},
            command=("node", str(PEERS / "tus-server.mjs"), "{port}", "{dir}"),
            packages=PEERS,
        ),
    ]


def off(name: str) -> str:
    """Return the name of the target that is the one of *name* with the hand-off off."""
    return f"{name}-off"


def before(name: str) -> str:
    """Return the name that an earlier Holdfast has to have beside the one of *name*, for goals that compare with it."""
    return name.replace(HOLDFAST, BEFORE)


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
