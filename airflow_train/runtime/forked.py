"""Ranks whose wrappers the supervisor forks itself, and speaks to through pipes."""

from __future__ import annotations

import contextlib
import os

from airflow_train.runtime import cgroups, exits, rank
from airflow_train.runtime.ranks import NodeRanks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable


class ForkedRanks(NodeRanks):
    """Ranks whose wrappers are children of the supervisor."""

    def __init__(self, launch: dict[str, Any]) -> None:
        super().__init__(launch)
        #: Descriptors of this process that no wrapper may keep open.
        self.private: Callable[[], list[int]] = list
        #: pid of a wrapper → (its rank, write end of its control pipe)
        self.wrappers: dict[int, tuple[dict[str, Any], int]] = {}

    def start(self, ports: list[int], place: cgroups.Place | None) -> None:
        """Start every rank, in the groups that hold the memory limit if there are any."""
        super().start(ports, place)
        self._ports = ports
        for one in self.launch["ranks"]:
            self._start(one)

    def _start(self, one: dict[str, Any]) -> None:
        read_end, write_end = os.pipe()
        try:
            pid = os.fork()
        except OSError:
            os.close(read_end)
            os.close(write_end)
            raise
        if pid == 0:
            code = 1
            try:
                os.close(write_end)
                for other in (*(control for _, control in self.wrappers.values()), *self.private()):
                    os.close(other)
                code = self._run(one, read_end)
            except BaseException:  # noqa: BLE001 - said in the node's log; the process must not go on
                import traceback

                traceback.print_exc()
            finally:
                os._exit(code)
        os.close(read_end)
        self.wrappers[pid] = (one, write_end)

    def _run(self, one: dict[str, Any], control: int) -> int:
        """In the forked wrapper: run the rank; returns the wrapper's exit code.

        :param control: the pipe through which it is told things.
        """
        return rank.run(self.launch, one, control, self._ports, self.place)

    def left(self) -> list[dict[str, Any]]:
        """Ranks that haven't ended."""
        return [one for one, _ in self.wrappers.values()]

    def children(self) -> set[int]:
        """Child processes that nobody else may reap."""
        return set(self.wrappers)

    def tell(self, command: bytes) -> None:
        """Say a command (`rank.py`) to every wrapper."""
        self._tell(command, {one["rank"] for one, _ in self.wrappers.values()})

    def _tell(self, command: bytes, ranks: set[int]) -> None:
        for one, control in self.wrappers.values():
            if one["rank"] in ranks:
                with contextlib.suppress(BrokenPipeError):
                    os.write(control, command)

    def ended(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Ranks that have ended since the last call, with their exit records."""
        ended = []
        for pid in list(self.wrappers):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                one, control = self.wrappers.pop(pid)
                os.close(control)
                ended.append((one, exits.of_wrapper(self.launch, one, self.started, status, self.place)))
        return ended
