"""What node 0 makes of what it hears of other nodes' ranks, in whatever order that comes."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from airflow_train.runtime import exits, protocol
from airflow_train.runtime.across import AllRanks
from airflow_train.runtime.meeting import Meeting
from airflow_train.runtime.mpirun import MpirunRanks
from airflow_train.runtime.wire import Wire
from tests.runtime.crowd import Processes
from tests.targets.lab import until

#: Starts rank 0 of two.
_MPIRUN = """#!/bin/sh
for rank; do :; done
export OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=2
/bin/sh "$rank" &
exec sleep 30
"""


@pytest.mark.parametrize("heard", ["before", "with"])
def test_the_last_rank_elsewhere_that_ends_with_a_killed_mpirun_is_told_of(
    tmp_path: Path, heard: str
) -> None:
    # in a process of its own, as node 0 ends all its children: pytest has some that must live
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as processes:
        left, over, told, failed = processes.submit(_node_zero, tmp_path, heard).result()

    assert left == []
    assert over
    assert told == [failed]


def _node_zero(tmp_path: Path, heard: str) -> tuple[list[Any], bool, list[Any], Any]:
    """What it has left of its own ranks, whether all is over, what it told of rank 1, and what it should."""
    nodes = Processes(tmp_path, 2, "", distribution={"type": "mpi"})
    path = nodes.here(0, "run", protocol.node_folder(0), protocol.LAUNCH_FILE)
    program = tmp_path / "mpirun"
    program.write_text(_MPIRUN)
    program.chmod(0o755)
    launch = {
        **json.loads(path.read_text()),
        "mpirun": {"program": str(program), "arguments": {"4": ["@SESSION@/rank.sh"]}},
        "work_folder": str(tmp_path),
        "command": ["true"],
        "addresses": ["127.0.0.1", "127.0.0.2"],
    }
    ours, theirs = socket.socketpair()  # the test is what is connected to node 1
    meeting, other = Meeting(launch), Wire(theirs)
    meeting._wire = Wire(ours)
    own = MpirunRanks(launch)
    ranks = AllRanks(launch, own, meeting)
    ranks.start([0], None)
    try:
        _, its = launch["meeting"]["world"]
        until(lambda: not ranks.ended() and not own.left())  # rank 0 ends well
        left = own.left()
        (mpirun,) = own.children()
        failed = exits.empty(its, protocol.timestamp(), code=1, stopped_by=protocol.BY_LAUNCHER)
        other.send({"node": 1, "said": {"exit": failed}})
        if heard == "before":
            ranks.ended()
        os.kill(mpirun, signal.SIGKILL)
        os.waitid(os.P_PID, mpirun, os.WEXITED | os.WNOWAIT)

        told: list[Any] = []
        deadline = time.monotonic() + 15
        while not ranks.over() and time.monotonic() < deadline:
            for message in other.receive():
                number = message.get("say", {}).get("ping")
                if number:
                    here = {"pong": number, "heard": time.time(), "clock": time.time()}
                    other.send({"node": 1, "said": here})
            told += ranks.ended()
            time.sleep(0.01)

        return left, ranks.over(), told, (its, failed)
    finally:
        ranks.close()
        other.close()
