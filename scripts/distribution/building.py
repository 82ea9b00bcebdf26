"""
The source distribution and the wheel: built from a copy of the repository, and compared with it file by file.

Theory of operation: setuptools leaves folders behind where it builds, and takes into a wheel what an earlier build left there.
So it builds in a copy.  The wheel is built from the unpacked source distribution, not from the repository: a file that is
missing in the first is missing in the second, and noticed.
"""

from __future__ import annotations

import email
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("service", "storage")
TOPS = (*PACKAGES, "tests", "deploy", "scripts")
BESIDE = ("pyproject.toml", "MANIFEST.in", "LICENSE")
NOT_COPIED = ("__pycache__", "node_modules", "*.egg-info")
SHIPPED = {".py", ".lua", ".typed"}
"""Ends of the names of those files of the packages that the wheel has."""
BUILD = "import sys; from setuptools import build_meta; print(getattr(build_meta, 'build_' + sys.argv[1])(sys.argv[2]))"


class DistributionError(Exception):
    """A distribution is not what it has to be; the text says what to mend."""


@dataclass(frozen=True, slots=True)
class Distributions:
    """The files of one release."""

    version: str
    source: Path
    wheel: Path


def build(root: Path, work: Path, into: Path) -> Distributions:
    """
    Build both distributions of the repository at *root* and check what they hold; *work* is an empty folder to work in.

    :raises DistributionError: they lack a file, have one too many, or their metadata is wrong.
    """
    copy = work / "copy"
    for top in TOPS:
        shutil.copytree(root / top, copy / top, ignore=shutil.ignore_patterns(*NOT_COPIED))
    for name in (*BESIDE, *(path.name for path in root.glob("*.md"))):
        shutil.copy2(root / name, copy / name)
    into.mkdir(parents=True, exist_ok=True)
    source = into / _built("sdist", copy, into)
    with tarfile.open(source) as archive:
        archive.extractall(work / "unpacked", filter="data")
    (unpacked,) = (work / "unpacked").iterdir()
    wheel = into / _built("wheel", unpacked, into)
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    _check_source(unpacked, copy)
    _check_wheel(wheel, root, version)
    if f"\n## [{version}]" not in (root / "CHANGELOG.md").read_text():
        raise DistributionError(f"CHANGELOG.md has no section for {version}: add a line ## [{version}] - DATE")
    return Distributions(version, source, wheel)


def _built(what: str, folder: Path, into: Path) -> str:
    """Have setuptools build a distribution of *folder*, with what is installed here, and return the name of the file."""
    done = subprocess.run([sys.executable, "-c", BUILD, what, str(into)], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DistributionError(f"setuptools cannot build the {what}:\n{done.stderr}")
    return done.stdout.splitlines()[-1]


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def _check_source(unpacked: Path, copy: Path) -> None:
    """Every file of the repository is in the source distribution, and can be run if it could be run there."""
    own = {name for name in _files(copy) if ".egg-info/" not in name and not name.startswith("build/")}
    _same("the source distribution", _files(unpacked) & own, own)
    _same(
        "what can be run in the source distribution",
        {name for name in own if (unpacked / name).stat().st_mode & 0o100},
        {name for name in own if (copy / name).stat().st_mode & 0o100},
    )


def _check_wheel(wheel: Path, root: Path, version: str) -> None:
    """The wheel has the packages under the name holdfast, the license and nothing else; its metadata is right."""
    about = f"holdfast-{version}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = email.message_from_bytes(archive.read(f"{about}/METADATA"))
    packaged = {
        f"holdfast/{path.relative_to(root)}" for top in PACKAGES for path in (root / top).rglob("*") if path.suffix in SHIPPED
    }
    own = {f"{about}/{name}" for name in ("licenses/LICENSE", "METADATA", "WHEEL", "entry_points.txt", "top_level.txt", "RECORD")}
    _same("the wheel", names, packaged | own)
    said = metadata["Name"], metadata["Version"], metadata["License-Expression"], metadata["License-File"]
    if said != ("holdfast", version, "MIT", "LICENSE"):
        raise DistributionError(f"the metadata of the wheel has {said} for its name, version, license and license file")
    if (root / "README.md").read_text().strip() not in metadata.get_payload():
        raise DistributionError("the metadata of the wheel does not have README.md")


def _same(what: str, found: Iterable[str], wanted: Iterable[str]) -> None:
    missing, more = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
    if missing or more:
        raise DistributionError(f"{what} lacks {missing or 'nothing'} and has {more or 'nothing'} too many; see MANIFEST.in")
