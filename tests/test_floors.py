"""
What the house promises: floors that do not know what is above them, or what waits, and folders that a reader keeps in mind.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("service", "storage")
MAX_MODULES = 12

WAITING = {"asyncio", "anyio", "starlette", "uvicorn", "uvloop", "httptools", "trio"}
BACKENDS = {
    "sqlite3",
    "redis",
    "boto3",
    "botocore",
    *(f"holdfast.storage.{name}" for name in ("leases", "local", "memory", "redis", "s3", "sqlite")),
}

LOAD = """
import importlib, json, pkgutil, sys
folder = importlib.import_module(sys.argv[1])
names = [module.name for module in pkgutil.walk_packages(folder.__path__, folder.__name__ + ".")]
for name in names:
    importlib.import_module(name)
print(json.dumps([names, sorted(sys.modules)]))
"""


def loaded_by(package: str) -> set[str]:
    """Return the modules that a fresh interpreter has after importing every module of *package*."""
    command = [sys.executable, "-c", LOAD, package]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=60).stdout
    names, modules = json.loads(said)

    assert names
    assert set(names) <= set(modules)
    return set(modules)


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [("holdfast.service.protocols", WAITING | BACKENDS), ("holdfast.service.core", BACKENDS | WAITING - {"asyncio"})],
)
def test_a_floor_does_not_load_what_it_must_not_know(package: str, forbidden: set[str]) -> None:
    """Protocols load nothing that waits, and the core loads no backend and no framework: not even through others."""
    assert set() == forbidden & loaded_by(package)


def sources() -> list[Path]:
    """Return every module of the packages."""
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def test_init_files_are_empty() -> None:
    """Nothing happens when a package is imported."""
    found = [path for path in sources() if path.name == "__init__.py"]

    assert found
    assert [] == [str(path.relative_to(ROOT)) for path in found if path.read_bytes()]


def test_folders_are_small() -> None:
    """No folder holds more modules than a reader keeps in mind."""
    modules = [
        path for top in (*PACKAGES, "tests", "scripts") for path in (ROOT / top).rglob("*.py") if path.name != "__init__.py"
    ]
    counts = Counter(str(path.parent.relative_to(ROOT)) for path in modules if "node_modules" not in path.parts)

    assert {} == {name: count for name, count in counts.items() if count > MAX_MODULES}


def test_class_names_are_used_once() -> None:
    """A class is found by its name alone: no two modules have a class of the same name."""
    found = Counter(name for path in sources() for name in re.findall(r"^class (\w+)", path.read_text(), re.MULTILINE))

    assert found
    assert [] == [name for name, count in found.items() if count > 1]


def test_the_wheel_has_every_package() -> None:
    """Every folder with modules is a package of the wheel: setuptools finds none by itself under another name."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]

    assert sorted({".".join(("holdfast", *path.parent.relative_to(ROOT).parts)) for path in sources()}) == sorted(told)
