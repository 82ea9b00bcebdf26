"""
OpenStack Swift with its S3 API: a real object store of four processes.

Theory of operation: the proxy speaks S3 (s3api) and asks an account, a container and an object server, each of which keeps what
it has below one folder, with facts in extended attributes of files.  Rings tell the proxy where the others are; here each has one
device, so they are made anew for whatever ports are free.  Swift lives in a virtual environment of its own, ``.venv/swift``, set
up by `scripts/install dev`: it has other dependencies than Holdfast.
"""

from __future__ import annotations

import getpass
import os
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from servers.ports import LOOPBACK, free_port, serves
from servers.process import ROOT, Process, ServerError
from servers.server import Server
from servers.stores.s3 import REGION, S3Account

PROGRAMS = ROOT / ".venv" / "swift" / "bin"
DISCARD = 9  # a port at which no process listens
KEEPERS = ("account", "container", "object")
PARTS = 10_000
"""The most parts of one upload, as with AWS; Swift's own default is 1,000."""

Sections = Mapping[str, Mapping[str, object]]

# Run by Swift's own Python: KIND PORT pairs after the folder.
MAKE_RINGS = """
import sys
from swift.common.ring import RingBuilder
folder, *pairs = sys.argv[1:]
for kind, port in zip(pairs[::2], pairs[1::2]):
    builder = RingBuilder(part_power=4, replicas=1, min_part_hours=1)
    builder.add_dev({"region": 1, "zone": 1, "ip": "127.0.0.1", "port": int(port), "device": "disk", "weight": 1.0})
    builder.rebalance()
    builder.get_ring().save(f"{folder}/{kind}.ring.gz")
"""


class SwiftServer(Server):
    """
    The processes are called ``account``, ``container``, ``object`` and ``proxy``; what they keep survives them in *folder*.

    :raises ServerError: Swift is not installed, or *folder* is where files cannot have attributes (see `folder_with_attributes`).
    """

    def __init__(self, folder: Path) -> None:
        if not (PROGRAMS / "swift-proxy-server").exists():
            raise ServerError(f"Swift is not in {PROGRAMS}; scripts/install dev puts it there")
        folder.mkdir(parents=True, exist_ok=True)
        if not has_attributes(folder):
            raise ServerError(f"Swift cannot use {folder}: files there cannot have extended attributes (user.*)")
        self._folder = folder
        self._settings = folder / "settings"
        self._ports = {kind: free_port() for kind in (*KEEPERS, "proxy")}
        self.account = S3Account(endpoint=f"http://{LOOPBACK}:{self._ports['proxy']}", key="test:tester", secret="testing")
        self._configure()
        super().__init__(*(self._process(kind, port) for kind, port in self._ports.items()))

    def _process(self, kind: str, port: int) -> Process:
        command = [str(PROGRAMS / f"swift-{kind}-server"), str(self._settings / f"{kind}-server.conf"), "--verbose"]
        # It imports what its libraries are about to give up, and says so at length.
        environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
        log = self._folder / f"{kind}.log"
        return Process(kind, command, ready=lambda: serves(port, "/healthcheck"), log=log, environment=environment)

    def _configure(self) -> None:
        (self._folder / "disks" / "disk").mkdir(parents=True, exist_ok=True)
        self._settings.mkdir(exist_ok=True)
        self._write(
            "swift.conf",
            {
                # What places of objects are computed from; the same at every start.
                "swift-hash": {"swift_hash_path_prefix": "holdfast", "swift_hash_path_suffix": "tests"},
                "storage-policy:0": {"name": "one", "policy_type": "replication", "default": "yes"},
            },
        )
        for kind in KEEPERS:
            self._write(f"{kind}-server.conf", self._keeper(kind))
        self._write("proxy-server.conf", self._proxy())
        pairs = [str(word) for kind in KEEPERS for word in (kind, self._ports[kind])]
        command = [str(PROGRAMS / "python"), "-W", "ignore", "-c", MAKE_RINGS, str(self._settings), *pairs]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ServerError(f"Swift makes no rings:\n{done.stderr}")

    def _common(self, kind: str) -> dict[str, object]:
        return {
            "bind_ip": LOOPBACK,
            "bind_port": self._ports[kind],
            "workers": 0,  # serve in the first process, so that a signal to it is a signal to the server
            "user": getpass.getuser(),
            "swift_dir": self._settings,
            "log_level": "WARNING",
            # To the log of its process, and to no syslog.
            "log_udp_host": LOOPBACK,
            "log_udp_port": DISCARD,
        }

    def _keeper(self, kind: str) -> Sections:
        return {
            "DEFAULT": {
                **self._common(kind),
                "devices": self._folder / "disks",
                "mount_check": "false",
                "fallocate_reserve": 0,
                "recon_cache_path": self._folder,
            },
            "pipeline:main": {"pipeline": f"healthcheck {kind}-server"},
            "filter:healthcheck": _part("healthcheck"),
            f"app:{kind}-server": _part(kind),
        }

    def _proxy(self) -> Sections:
        steps = ("catch_errors", "gatekeeper", "healthcheck", "listing_formats", "bulk", "s3api", "tempauth", "slo", "dlo")
        return {
            "DEFAULT": self._common("proxy"),
            "pipeline:main": {"pipeline": " ".join((*steps, "proxy-server"))},
            **{f"filter:{step}": _part(step) for step in steps},
            "filter:s3api": {**_part("s3api"), "location": REGION, "max_upload_part_num": PARTS},
            "filter:slo": {**_part("slo"), "max_manifest_segments": PARTS},
            "filter:tempauth": {**_part("tempauth"), "user_test_tester": "testing .admin"},
            "app:proxy-server": {
                **_part("proxy"),
                "account_autocreate": "true",
                "allow_account_management": "true",
                # A server that was away is asked again at once, and one of a busy machine may take its time: there is no other.
                "error_suppression_limit": 1_000_000,
                "conn_timeout": 5,
                "node_timeout": 30,
            },
        }

    def _write(self, name: str, sections: Sections) -> None:
        lines: list[str] = []
        for section, settings in sections.items():
            lines += [f"[{section}]", *(f"{key} = {value}" for key, value in settings.items()), ""]
        (self._settings / name).write_text("\n".join(lines))


def has_attributes(folder: Path) -> bool:
    """Say whether files in *folder* can have extended attributes of users; those of some file systems (tmpfs, NFS) cannot."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            os.setxattr(file.fileno(), "user.holdfast", b"1" * 1000)
    except OSError:
        return False
    return True


def folder_with_attributes(*candidates: Path) -> Path:
    """
    Return the first of *candidates* where files can have extended attributes; their folders are made.

    :raises ServerError: there is none.
    """
    for folder in candidates:
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            if has_attributes(folder):
                return folder
    tried = ", ".join(map(str, candidates))
    raise ServerError(f"files cannot have extended attributes (user.*), as Swift needs, in any of {tried}")


def _part(name: str) -> dict[str, object]:
    return {"use": f"egg:swift#{name}"}
