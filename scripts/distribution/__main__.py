"""
The command ``scripts/release``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from distribution.building import DistributionError, build
from distribution.trial import install, try_out
from servers.process import ROOT, ServerError

HELP = """\
Builds the source distribution and the wheel, and checks them: what they hold, and that the wheel, installed into a new
environment beside packages of a user that are called service and storage too, serves and takes an upload.  Both files stay on
this machine.
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser("scripts/release", description=HELP)
    parser.add_argument("--into", type=Path, default=ROOT / "dist", help="the folder for the files (dist)")
    parser.add_argument("--borrow", action="store_true", help="take dependencies from .venv, instead of having pip install them")
    parser.add_argument("--uncommitted", action="store_true", help="build although there are changes that are not committed")
    options = parser.parse_args(arguments)
    changes = _changes()
    if changes and not options.uncommitted:
        print(f"These changes are not committed; commit them, or say --uncommitted:\n{changes}", file=sys.stderr)
        return 1
    try:
        with tempfile.TemporaryDirectory() as work:
            folder = Path(work)
            made = build(ROOT, folder / "build", options.into.absolute())
            python = install(made.wheel, folder / "environment", borrow=options.borrow)
            try_out(made, python, folder / "user")
    except (DistributionError, ServerError) as error:
        print(f"scripts/release: {error}", file=sys.stderr)
        return 1
    print(f"Holdfast {made.version} is built, checked and tried out:\n{made.source}\n{made.wheel}")
    return 0


def _changes() -> str:
    """Return what git says is not committed; nothing where the repository is not git's."""
    try:
        done = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
