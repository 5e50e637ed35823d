"""How long a script of four MPI ranks (two emulated nodes) takes from its start to the end of its first collective."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from airflow_train.runtime import protocol
from airflow_train.targets import mpi
from tests.targets.lab import Lab

ROUNDS = 5
SCRIPT = """
from mpi4py import MPI
total = MPI.COMM_WORLD.allreduce(1)
print(total, time.time())
"""


def measure(folder: Path) -> dict[str, Any]:
    """Median and worst of the slowest rank of every round, by every Open MPI here, in seconds.

    Python and `import mpi4py` are part of it.
    """
    pythons = _pythons()
    if not pythons:
        return {"problem": "no mpirun of Open MPI, or no Python with mpi4py"}
    lab = Lab(str(folder / "store"), folder)
    found = {major: [_slowest(lab, python) for _ in range(ROUNDS)] for major, python in pythons.items()}
    return {
        "seconds": {major: round(statistics.median(rounds), 3) for major, rounds in found.items()},
        "worst_seconds": round(max(map(max, found.values())), 3),
    }


def _slowest(lab: Lab, python: str) -> float:
    job = {"distribution": {"type": "mpi"}, "node_count": 2, "process_count_per_node": 2}
    view = lab.run(SCRIPT, interpreter_path=python, **job)
    assert view.status == "Completed", view.record.verdict
    waits = []
    for rank, record in view.record.exits.items():
        total, at = lab.lines(view.record.run_id, rank)[0].split()
        assert total == "4"
        waits.append(float(at) - protocol.seconds_of(record["started"]))
    return max(waits)


def _pythons() -> dict[int, str]:
    """Major version of Open MPI → a Python that has mpi4py and finds that one's mpirun."""
    found: dict[int, str] = {}
    for python in (sys.executable, "/usr/bin/python3"):
        mpirun = mpi.find(python) if os.path.exists(python) else None
        command = [python, "-c", "import mpi4py"]
        if mpirun and not subprocess.run(command, capture_output=True, check=False).returncode:
            found.setdefault(mpirun.major, python)
    return found
