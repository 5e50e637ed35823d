"""`kill -9` of everybody in an MPI run, at any time of it: judged right, and nothing left behind."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from airflow_train.runs import diagnosis
from airflow_train.runtime import processes
from tests.targets.lab import Lab, processes_of, until
from tests.targets.worlds import MEET, sessions

pytestmark = pytest.mark.mpi

TIMES = int(os.environ.get("AIRFLOW_TRAIN_FAULTS", "15"))
#: How a process of a run is known by its command line, by the first that fits; wrappers are forked supervisors.
PARTS = {"mpirun": " --oversubscribe ", "stand-in": "/rank.sh", "script": "train.py", "supervisor": " node /"}


def somebody(run_id: str, part: str) -> list[int]:
    """Processes of a run that play this part now."""
    found: dict[str, list[int]] = {name: [] for name in (*PARTS, "wrapper")}
    for pid, line in sorted(processes_of(run_id)):
        known_by = next((name for name, words in PARTS.items() if words in line), None)
        if known_by == "supervisor" and processes.parent(pid) in found["supervisor"]:
            known_by = "wrapper"
        if known_by:
            found[known_by].append(pid)
    return found[part]


@pytest.mark.parametrize("part", [*PARTS, "wrapper"])
def test_mpi(lab: Lab, mpi_python: str, part: str) -> None:
    chance = random.Random(part)
    job = {"distribution": {"type": "mpi"}, "node_count": 2, "process_count_per_node": 2}
    for _ in range(max(TIMES // 5, 1)):
        run_id = lab.start(
            f"{MEET}mark('end')", **job, interpreter_path=mpi_python, memory_bytes=1 << 30, grace_seconds=1.0
        )
        victims: list[int] = []
        until(lambda run_id=run_id, victims=victims: victims.extend(somebody(run_id, part)) or victims)
        time.sleep(chance.uniform(0, 0.3))  # whatever it does by then
        with contextlib.suppress(ProcessLookupError):
            os.kill(victims[-1], signal.SIGKILL)
        check(lab, run_id)


def check(lab: Lab, run_id: str) -> None:
    """What the store says is what happened."""
    record = lab.wait(run_id, timeout=20).record
    marks = Counter(lab.marks(run_id))
    well = len(record.exits) == 4 and all(map(diagnosis.ended_well, record.exits.values()))
    assert max(marks[f"start {rank}"] for rank in range(4)) <= 1
    assert ((record.verdict or {})["status"] == "Completed") == well
    assert not well or marks["end"] == 4
    assert well or (record.verdict or {})["reason"] == "infrastructure", record.verdict
    assert lab.nothing_left(run_id)
    assert sessions(lab, run_id) == []
    assert not list(Path("/dev/shm").glob("*_segment.*"))
