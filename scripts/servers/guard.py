"""
Ends the servers of a process that has gone without ending them itself.

Theory of operation: a process that starts servers also starts this one, and holds the other end of its standard input.  Each line
there is ``+PID`` for a process group that was started, or ``-PID`` for one that has ended.  However the starter goes (SIGKILL, a
crash, the end of a test run), the kernel closes that end, and what was not taken back is killed.  A signal by the kernel when the
parent ends (PR_SET_PDEATHSIG) would come when the *thread* ends that started a server, and would not reach its children.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress


def watch(lines: Iterable[str]) -> None:
    """Follow *lines* to their end, then kill every process group that is left."""
    groups: set[int] = set()
    for line in lines:
        group = int(line[1:])
        if line[0] == "+":
            groups.add(group)
        else:
            groups.discard(group)
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    watch(sys.stdin)
