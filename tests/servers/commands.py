"""
The command ``scripts/cluster``, typed into several terminals.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from servers.process import ROOT, wait_until

SCRIPT = ROOT / "scripts" / "cluster"
LAST_LINE = "Ctrl-C ends everything."
STARTED_WITHIN = 60.0  # seconds
ENDED_WITHIN = 120.0


@contextmanager
def cluster(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """
    Have the command run in *folder*; yield it, and the file with what it says.
    """
    log = folder / "said"
    with log.open("wb") as said:
        process = subprocess.Popen([SCRIPT, *options], cwd=folder, stdout=said, stderr=said, start_new_session=True)
    try:
        wait_until(lambda: LAST_LINE in log.read_text() or process.poll() is not None, "the cluster is up", STARTED_WITHIN)

        assert None is process.poll(), log.read_text()
        yield process, log
    finally:
        process.terminate()
        process.wait(60)


def ended(process: subprocess.Popen[bytes], log: Path) -> int:
    """
    Return the exit code of the command when it has ended.
    """
    try:
        return process.wait(ENDED_WITHIN)
    except subprocess.TimeoutExpired:
        left = [child.cmdline() for child in psutil.Process(process.pid).children(recursive=True)]
        raise AssertionError(
            f"it has not ended within {ENDED_WITHIN} s; there are {left}, and it said:\n{log.read_text()}"
        ) from None


def tell(folder: Path, *words: str) -> tuple[int, str]:
    """
    Return what the command answers, said from another terminal, with its exit code.
    """
    done = subprocess.run([SCRIPT, *words], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr
