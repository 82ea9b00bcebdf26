"""
schemathesis, against the real process and its own description of its routes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from servers.holdfast import Holdfast
from tests.e2e.conftest import Serve
from tests.pictures import PNG

USER = "0f8fad5b-d9cb-469f-a165-70867728950e"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "unsupported_method",
)
OPTIONS = {
    "--checks": ",".join(CHECKS),
    "--max-examples": "50",
    "--seed": "20261124",
    "--generation-database": "none",
}
# Contents of uploads are bytes like others.
HOOKS = """
import schemathesis

schemathesis.serializer.alias(["application/offset+octet-stream", "application/partial-upload"], "application/octet-stream")
"""


def prepare(server: Holdfast) -> str:
    """Make one thing of each kind known, and return what stands for it in paths."""
    for path in (f"user/{USER}", f"group/{USER}", f"organization_group/{USER}"):
        httpx.put(f"{server.url}/api/v1/objects/{path}", json={"name": "Kelp"}).raise_for_status()
    fields = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream", "Upload-Length": str(len(PNG))}
    made = httpx.post(f"{server.url}/files", headers=fields, content=PNG).raise_for_status()
    values = {
        "kind": "user",
        "id": USER,
        "slot": "ProfilePhoto",
        "key": made.headers["Location"].rpartition("/")[2],
        "community": "1",
        "object": USER,
        "group": USER,
    }
    return "".join(f'"path.{name}" = {json.dumps(known)}\n' for name, known in values.items())


@pytest.mark.slow
@pytest.mark.parametrize("is_known", [False, True], ids=["anything", "what is there"])
def test_schemathesis(serve: Serve, tmp_path: Path, is_known: bool) -> None:
    """No 5xx and no answer that the description does not know, whatever is sent, to what is there and to what is not."""
    server = serve()
    values = prepare(server)
    config = tmp_path / "schemathesis.toml"
    config.write_text(f'[parameters]\n{values}"query.type" = "ProfilePhoto"\n' if is_known else "")
    (tmp_path / "uploads.py").write_text(HOOKS)
    command = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(config), "run"]
    options = [part for option in OPTIONS.items() for part in option]
    done = subprocess.run(
        [*command, f"{server.url}/openapi.json", "--no-color", *options],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "uploads"},
    )
    print(done.stdout[-1500:])

    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
