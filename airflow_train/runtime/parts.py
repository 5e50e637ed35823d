"""What a node is made of, by its launch file."""

from __future__ import annotations

import os
import time

from airflow_train.runtime import collecting, forked, protocol, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from airflow_train.runtime.channel import Outbox
    from airflow_train.runtime.ranks import NodeRanks


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


def number(launch: dict[str, Any]) -> int:
    """The number of the node whose launch file this is."""
    return (launch.get("meeting") or {"node": 0})["node"]  # type: ignore[no-any-return]


def meeting(launch: dict[str, Any]) -> Any:
    """The way to the other nodes (`meeting.Meeting`); None where there are none."""
    if not launch.get("meeting"):
        return None
    from airflow_train.runtime.meeting import Meeting  # every run waits for this process's imports

    return Meeting(launch)


def ranks(launch: dict[str, Any], meeting: Any = None) -> NodeRanks:
    """What starts the ranks, and speaks to them."""
    own = _own_ranks(launch)
    if meeting is None:
        return own
    own.private = meeting.sources
    from airflow_train.runtime.across import AllRanks
    from airflow_train.runtime.obeying import OwnRanks

    return (OwnRanks if meeting.node else AllRanks)(launch, own, meeting)


def _own_ranks(launch: dict[str, Any]) -> forked.ForkedRanks:
    if not launch.get("mpirun"):
        return forked.ForkedRanks(launch)
    if number(launch):  # every run waits for this process's imports
        from airflow_train.runtime.launched import LaunchedRanks

        return LaunchedRanks(launch)
    from airflow_train.runtime.mpirun import MpirunRanks

    return MpirunRanks(launch)


def outbox(launch: dict[str, Any]) -> Outbox | None:
    """What ships what grows to whoever looks from outside, in a container that can't write to the store."""
    if not launch.get("outbox"):
        return None
    from airflow_train.runtime.channel import Outbox

    return Outbox(launch["outbox"], launch["run_folder"])


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
