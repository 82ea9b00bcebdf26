"""
moto: not a real S3 server, but one that starts at once.
"""

from __future__ import annotations

import sys
from pathlib import Path

from servers.ports import LOOPBACK, free_port, serves
from servers.process import Process
from servers.server import Server
from servers.stores.s3 import S3Account


class MotoServer(Server):
    """What it is given is gone when it ends.  It takes any key and secret, and does not check checksums."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.account = S3Account(endpoint=f"http://{LOOPBACK}:{self.port}", key="testing", secret="testing")
        command = [sys.executable, "-m", "moto.server", "--host", LOOPBACK, "--port", str(self.port)]
        super().__init__(Process("moto", command, ready=lambda: serves(self.port, "/moto-api/"), log=folder / "moto.log"))
