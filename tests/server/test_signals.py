"""
What a signal does before there is a server that could end in order.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

# An exception that is raised within __del__ is printed and forgotten.
PROGRAM = """
import os, signal
from holdfast.service.server.signals import Signals

class Kelp:
    def __del__(self) -> None:
        os.kill(os.getpid(), signal.{name})

Signals().listen()
Kelp()
os._exit(7)
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_where_exceptions_vanish(name: str) -> None:
    """A signal ends the process with 0 also at a moment in which whatever its handler raised would vanish."""
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(name=name)], capture_output=True, timeout=30, check=False)

    assert (0, b"") == (done.returncode, done.stderr)
