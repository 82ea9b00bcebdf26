"""
A wheel tried out as users have it: in an environment of its own, beside packages that are called ``service`` and ``storage`` too.
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import sysconfig
import urllib.request
from pathlib import Path

from distribution.building import DistributionError, Distributions
from servers.ports import LOOPBACK, free_port, serves
from servers.process import Process
from servers.server import Server

NAMES = ("service", "storage")
# What a user's own package says of itself, and that it was not imported by holdfast: that would have taken it for holdfast's own.
NEIGHBOUR = '''\
"""A package of the user."""
import sys
OWNER = "user"
frame = sys._getframe(1)
while frame is not None:
    if frame.f_globals.get("__name__", "").partition(".")[0] == "holdfast":
        raise ImportError(f"holdfast imports {__name__}, a package of the user")
    frame = frame.f_back
'''
BESIDE = (
    "import holdfast.service, holdfast.storage, service, storage; print(service.OWNER, storage.OWNER, holdfast.service.__file__)"
)
CONTENT = bytes(range(256)) * 4096  # 1 MiB
WORKERS = 2  # processes that are spawned import the service anew
TIMEOUT = 30.0  # seconds


def neighbours(folder: Path) -> None:
    """Put packages of a user's own, called as our folders are, into *folder*."""
    for name in NAMES:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(NEIGHBOUR)


def install(wheel: Path, folder: Path, *, borrow: bool) -> Path:
    """
    Make an environment in *folder* that has the wheel and a user's packages, and return its interpreter.

    With *borrow* the dependencies are those of the interpreter that runs this; else pip fetches them, as it is configured.

    :raises DistributionError: something cannot be installed.
    """
    _run([sys.executable, "-m", "venv", "--without-pip", folder], "an environment")
    python = folder / "bin" / "python"
    options = ["--no-deps", "--no-index"] if borrow else []
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", python, "--quiet", "--disable-pip-version-check"]
    _run([*pip, "install", *options, wheel], "the wheel")
    packages = Path(_run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], "the interpreter").strip())
    if borrow:
        # A path in a .pth file is looked at last, and its own .pth files, as that of an editable install, are not read.
        (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    neighbours(packages)
    return python


def try_out(made: Distributions, python: Path, folder: Path) -> None:
    """
    Serve with the wheel that *python* has, from a folder that has such packages as well, and upload something.

    :raises DistributionError: it does not do what it has to.
    :raises servers.process.ServerError: it does not start.
    """
    neighbours(folder)
    for command in ([python.parent / "holdfast"], [python, "-m", "holdfast.service"]):
        said = _run([*command, "--version"], "the command", folder).strip()
        if said != made.version:
            raise DistributionError(f"{command} --version says {said} and not {made.version}")
        _serve([*command, "serve"], folder)
    *owners, place = _run([python, "-P", "-c", BESIDE], "the user's packages", folder).split()
    if owners != ["user", "user"] or not place.startswith(str(python.parent.parent)):
        raise DistributionError(f"beside the wheel, the user's packages are of {owners}, and ours are in {place}")


def _serve(command: list[str | Path], folder: Path) -> None:
    """Start the service, upload, and read what was uploaded."""
    port = free_port()
    settings = {"HOLDFAST_PORT": str(port), "HOLDFAST_WORKERS": str(WORKERS), "HOLDFAST_DATA_DIR": str(folder / f"data-{port}")}
    process = Process(
        "holdfast",
        command,
        ready=lambda: serves(port, "/readyz"),
        log=folder / f"{port}.log",
        environment=_environment() | settings,
        folder=folder,
    )
    with Server(process):
        fields = {
            "Tus-Resumable": "1.0.0",
            "Upload-Length": str(len(CONTENT)),
            "Upload-Metadata": f"filename {base64.b64encode(b'kelp.bin').decode()}",
            "Content-Type": "application/offset+octet-stream",
        }
        request = urllib.request.Request(f"http://{LOOPBACK}:{port}/files", CONTENT, fields, method="POST")
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            location = answer.headers["Location"]
        with urllib.request.urlopen(location, timeout=TIMEOUT) as answer:
            if answer.read() != CONTENT:
                raise DistributionError(f"{location} is not what was uploaded")
    if "Traceback" in process.log():
        raise DistributionError(f"the service stumbled:\n{process.log()}")


def _environment() -> dict[str, str]:
    """Return this environment without what is of our own interpreter and settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("HOLDFAST_", "PYTHON", "VIRTUAL_ENV"))}


def _run(command: list[str | Path], what: str, folder: Path | None = None) -> str:
    """Run a command and return what it prints."""
    done = subprocess.run(command, cwd=folder, env=_environment(), capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise DistributionError(f"{what}: {command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout
