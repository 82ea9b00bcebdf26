"""
An unmodified tus-js-client, as a process of its own.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

CLIENTS = Path(__file__).parents[2] / "clients"


class Events:
    """What the client told."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        self.text = text
        self.all: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def __repr__(self) -> str:
        return f"<Events {self.code} {self.text}>"

    @property
    def last(self) -> dict[str, Any]:
        return self.all[-1]


def upload(endpoint: str, path: Path, seconds: float = 60, **task: object) -> Events:
    """
    Run the client on the file at *path*, and return what it told; see ``upload.mjs`` for *task*.
    """
    argument = json.dumps({"endpoint": endpoint, "path": str(path), **task})
    command = ["node", "upload.mjs", argument]
    done = subprocess.run(command, cwd=CLIENTS, capture_output=True, text=True, timeout=seconds, check=False)
    return Events(done.returncode, done.stdout + done.stderr)
