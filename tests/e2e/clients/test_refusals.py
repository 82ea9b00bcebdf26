"""
Clients read why their content is refused, however fast they send it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import Serve

MiB = 1024 * 1024
RUNS = 40
CLIENT = Path(__file__).parents[2] / "clients" / "refusals.mjs"


@pytest.mark.content_path
def test_node(serve: Serve) -> None:
    """
    Node's client reads the refusal of a large content in every one of many runs.
    """
    server = serve()
    node = shutil.which("node")

    assert node is not None
    command = [node, str(CLIENT), f"{server.url}/files/0123456789", str(RUNS), str(256 * MiB)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    print(done.stdout)

    assert {"404": RUNS} == json.loads(done.stdout)
