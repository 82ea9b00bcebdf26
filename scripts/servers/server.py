"""
Processes that are one server to those who use it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from servers.process import Process


class Server:
    """Some processes.  Each verb takes the names of some of them; without names it means all."""

    def __init__(self, *processes: Process) -> None:
        self.processes = {process.name: process for process in processes}

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, *names: str) -> Self:
        """
        Start what does not run, and wait until it is ready.

        :raises ServerError: some process does not get there; then none of them runs.
        """
        chosen = self._chosen(names)
        try:
            for process in chosen:
                process.launch()
            for process in chosen:
                process.wait_ready()
        except BaseException:
            self.kill(*names)
            raise
        return self

    def stop(self, *names: str) -> None:
        """Ask each to end, the last one first."""
        for process in reversed(self._chosen(names)):
            process.stop()

    def kill(self, *names: str) -> None:
        """End each without a chance to tidy up."""
        for process in self._chosen(names):
            process.kill()

    def freeze(self, *names: str) -> None:
        """Stop each in its tracks."""
        for process in self._chosen(names):
            process.freeze()

    def thaw(self, *names: str) -> None:
        """Let each go on."""
        for process in self._chosen(names):
            process.thaw()

    def restart(self, *names: str) -> Self:
        """Kill each, and start it with the data that it had."""
        self.kill(*names)
        return self.start(*names)

    def log(self) -> str:
        """Return what all have written, one after another."""
        return "".join(process.log() for process in self.processes.values())

    def _chosen(self, names: Sequence[str]) -> list[Process]:
        return [self.processes[name] for name in names or self.processes]
