"""
A process that has imported the service, and forks itself whenever the service is wanted: that takes a tenth of a start.

Theory of operation: its standard input is a socket.  Each message there is a JSON object (the environment, the folder to run in,
the file for what it prints) and brings a descriptor along, to which the exit status is written when the forked process has ended.
The answer is the id of that process, which by then leads a session and a process group of its own.  It ends when the socket is
closed, and leaves what it has forked to the guard.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
from typing import Any, NoReturn

# The service imports these when it needs them.
import boto3  # noqa: F401
import uvloop  # noqa: F401

import holdfast.service.server.http
import holdfast.storage.redis.stores
import holdfast.storage.s3.store  # noqa: F401
from holdfast.service.cli.main import main as command

MESSAGE = 1024 * 1024  # bytes, more than any environment has


def serve(control: socket.socket) -> None:
    """Fork for every message of *control*, until it is closed."""
    running: dict[int, tuple[int, int]] = {}
    """By the descriptor that becomes readable when it ends: a process, and where its status is written."""
    poll = select.poll()
    poll.register(control, select.POLLIN)
    while True:
        for descriptor, _ in poll.poll():
            if descriptor in running:
                poll.unregister(descriptor)
                _bury(descriptor, *running.pop(descriptor))
                continue
            message, descriptors, *_ = socket.recv_fds(control, MESSAGE, 1)
            if not message:
                return
            (status,) = descriptors
            pid = _fork(json.loads(message), [control.fileno(), status, *running, *(each for _, each in running.values())])
            ended = os.pidfd_open(pid)
            running[ended] = (pid, status)
            poll.register(ended, select.POLLIN)
            control.send(str(pid).encode())


def _bury(descriptor: int, pid: int, status: int) -> None:
    """Tell how a process has ended."""
    _, ended = os.waitpid(pid, 0)
    os.write(status, str(os.waitstatus_to_exitcode(ended)).encode())
    os.close(status)
    os.close(descriptor)


def _fork(wanted: dict[str, Any], ours: list[int]) -> int:
    """Return the process that serves, when it leads a group of its own; *ours* are descriptors that it must not have."""
    begun, begins = os.pipe()
    pid = os.fork()
    if not pid:
        os.setsid()
        os.close(begun)
        os.close(begins)
        _become(wanted, ours)
    os.close(begins)
    os.read(begun, 1)  # ends when the other side has closed it, or is gone
    os.close(begun)
    return pid


def _become(wanted: dict[str, Any], ours: list[int]) -> NoReturn:
    """Be what ``python -m holdfast.service serve`` is."""
    for descriptor in ours:
        os.close(descriptor)
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(wanted["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    for descriptor, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(descriptor, target)
    os.close(nothing)
    os.close(output)
    os.chdir(wanted["folder"])
    os.environ.clear()
    os.environ.update(wanted["environment"])
    sys.argv[1:] = ["serve"]
    # What a worker is started with would run the file of this process first.
    main = sys.modules["__main__"]
    main.__spec__ = None
    del main.__file__
    command()
    sys.exit()


if __name__ == "__main__":
    serve(socket.socket(fileno=os.dup(0)))
