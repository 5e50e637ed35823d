"""What a supervisor asks of its ranks, whoever starts them and wherever they are."""

from __future__ import annotations

import os

from airflow_train.runtime import cgroups, protocol, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class NodeRanks:
    """Ranks of one supervisor, or (`across.py`) of all nodes of a run."""

    #: How the launcher that stands between ended, if it did while ranks were left.
    lost: str | None = None
    #: Was it ended by a signal?
    killed = False

    def __init__(self, launch: dict[str, Any]) -> None:
        self.launch = launch
        #: Ranks that `left` and `ended` are about.
        self.count = len(launch["ranks"])
        self.started = protocol.timestamp()
        self.place: cgroups.Place | None = None

    def start(self, ports: list[int], place: cgroups.Place | None) -> None:
        """Start every rank, in the groups that hold the memory limit if there are any."""
        del ports
        self.started, self.place = protocol.timestamp(), place

    def here(self) -> int:
        """How many ranks have started."""
        folders = [
            os.path.join(self.launch["run_folder"], protocol.rank_folder(one["rank"]))
            for one in self.launch["ranks"]
        ]
        return sum(os.path.exists(os.path.join(folder, "start.json")) for folder in folders)

    def left(self) -> list[dict[str, Any]]:
        """Ranks that haven't ended."""
        raise NotImplementedError

    def left_here(self) -> list[dict[str, Any]]:
        """Those of them whose processes are on this node."""
        return self.left()

    def over(self) -> bool:
        """Is there nothing more to be watched?"""
        return not self.left()

    def sources(self) -> list[int]:
        """Descriptors that become readable when `ended` should be asked, beside SIGCHLD."""
        return []

    def news(self) -> list[str]:
        """What people should hear of these ranks now."""
        return []

    def progress(self) -> list[int] | None:
        """Ranks of other nodes that have written something since the last call; None when nothing has come."""
        return None

    def ask(self) -> None:
        """Ask ranks of other nodes what they are doing."""

    def doing(self) -> dict[int, dict[str, Any]] | None:
        """What those answered (`hanging.look`); None as long as there are nodes that may still answer."""
        return {}

    def children(self) -> set[int]:
        """Child processes that nobody else may reap."""
        return set()

    def tell(self, command: bytes) -> None:
        """Say a command (`rank.py`) to every wrapper."""
        raise NotImplementedError

    def ended(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Ranks that have ended since the last call, with their exit records."""
        raise NotImplementedError

    def finishing(self) -> bool:
        """Has a script ended here whose exit record isn't written yet?"""
        for one in self.left():
            folder = os.path.join(self.launch["run_folder"], protocol.rank_folder(one["rank"]))
            started = records.read(os.path.join(folder, "start.json"))
            if started is not None:
                script = started["script"]
                if protocol.start_time(script["pid"]) != script["start_time"]:
                    return True
        return False

    def in_order(self, pair: tuple[dict[str, Any], dict[str, Any]]) -> tuple[bool, float]:
        """Key that sorts what `ended` gives by when it happened, causes before consequences."""
        return False, protocol.seconds_of(pair[1]["ended"])

    def cut_off(self, record: dict[str, Any]) -> bool:
        """Does the launcher say that ranks which ended so had lost another one?"""
        del record
        return False

    def stops(self) -> list[tuple[str, dict[str, Any]]]:
        """Why all ranks have to be stopped now (a reason of `stop.json`) and what is known, the first cause first."""
        return [] if self.lost is None else [(protocol.STOP_LAUNCHER, {"detail": self.lost})]

    def close(self) -> None:
        """Let them go, and clear what belongs to them together."""
        self.let_go()
        self.clear()

    def let_go(self) -> None:
        """Nobody needs them any more."""

    def clear(self) -> None:
        """Clear what belongs to them together."""
