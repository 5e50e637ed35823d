"""What a node is made of, by its launch file."""

from __future__ import annotations

import os
import time

from airflow_train.runtime import collecting, forked, protocol, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from airflow_train.runtime.channel import Outbox
    from airflow_train.runtime.mpirun import MpirunRanks


def mirror(launch: dict[str, Any]) -> collecting.LogMirror:
    """What copies `./logs` of the script."""
    places = (
        os.path.join(launch["work_folder"], protocol.LOGS_FOLDER),
        os.path.join(launch["run_folder"], protocol.FILES_FOLDER, protocol.LOGS_FOLDER),
    )
    if not launch.get("secrets"):
        return collecting.LogMirror(*places)
    from airflow_train.runtime import secret_logs  # every run waits for this process's imports

    return secret_logs.mirror(launch, *places)


def ranks(launch: dict[str, Any]) -> forked.ForkedRanks | MpirunRanks:
    """What starts the ranks, and speaks to them."""
    if not launch.get("mpirun"):
        return forked.ForkedRanks(launch)
    from airflow_train.runtime import mpirun  # every run waits for this process's imports

    return mpirun.MpirunRanks(launch)


def outbox(launch: dict[str, Any]) -> Outbox | None:
    """What ships what grows to whoever looks from outside, in a container that can't write to the store."""
    if not launch.get("outbox"):
        return None
    from airflow_train.runtime.channel import Outbox

    return Outbox(launch["outbox"], launch["run_folder"])


def started(launch: dict[str, Any]) -> int:
    """How many ranks have started."""
    folders = [
        os.path.join(launch["run_folder"], protocol.rank_folder(one["rank"])) for one in launch["ranks"]
    ]
    return sum(os.path.exists(os.path.join(folder, "start.json")) for folder in folders)


class Heartbeat:
    """The file that says that a node lives."""

    def __init__(self, path: str) -> None:
        self._path, self._beat, self._next = path, 0, 0.0

    def beat(self) -> None:
        """Say so, if it is time to."""
        if time.monotonic() >= self._next:
            self._beat += 1
            with records.tolerated("heartbeat"):
                records.replace(self._path, {"at": protocol.timestamp(), "beat": self._beat})
            self._next = time.monotonic() + protocol.HEARTBEAT_SECONDS
