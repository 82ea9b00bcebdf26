"""
Tests that run at once, and those that do not.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = """
    import os, time
    import pytest
    from servers.ports import free_port

    def note(word):
        with open(os.environ["NOTES"], "a") as notes:
            notes.write(f"{word} {os.environ.get('PYTEST_XDIST_WORKER')} {free_port()}\\n")

    @pytest.mark.parametrize("number", range(8))
    def test_beside_others(number):
        note("begins")
        time.sleep(0.1)
        note("ends")

    @pytest.mark.alone("it is what the test is about")
    @pytest.mark.parametrize("number", range(4))
    def test_alone(number):
        note("alone")
        time.sleep(0.1)
        note("over")
"""


def run(folder: Path, tests: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run *tests* as a run of their own, in three processes."""
    file = folder / "test_these.py"
    file.write_text(textwrap.dedent(tests))
    command = [sys.executable, "-m", "pytest", "-p", "tests.parallel", "-n3", "--dist=worksteal", f"--rootdir={folder}"]
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'scripts'}", "NOTES": str(folder / "notes"), "PATH": "/usr/bin:/bin"}
    command += [f"--basetemp={folder / 'temp'}", "-c", "/dev/null", *options, str(file)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_alone(tmp_path: Path) -> None:
    """A test that has to be alone does not run beside others; these run at once, and each process has ports of its own."""
    done = run(tmp_path, TESTS)
    notes = [line.split() for line in (tmp_path / "notes").read_text().splitlines()]
    words = [word for word, _, _ in notes]
    ports = {worker: sorted(int(port) for _, whose, port in notes if whose == worker) for _, worker, _ in notes}
    ranges = sorted((given[0], given[-1]) for given in ports.values())

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "alone" not in words
    assert ["begins", "begins"] in [words[at : at + 2] for at in range(len(words))]
    assert 3 == len(ranges)
    assert all(one[1] < other[0] for one, other in itertools.pairwise(ranges))


def test_alone_afterwards(tmp_path: Path) -> None:
    """What was left out runs in a process by itself."""
    done = run(tmp_path, TESTS, "-n0", "-m", "alone")

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "4 passed, 8 deselected" in done.stdout


def test_alone_without_a_reason(tmp_path: Path) -> None:
    """A test that does not say why it has to be alone is not run."""
    done = run(tmp_path, "import pytest\n@pytest.mark.alone\ndef test_it(): pass\n", "-n0")

    assert "test_these.py::test_it is marked alone without a reason" in done.stdout + done.stderr
    assert 0 != done.returncode
