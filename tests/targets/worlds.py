"""What scripts of MPI begin with, and eyes for their mpirun."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_train.lifecycle.observe import View
from airflow_train.runtime import mpirun
from tests.targets.lab import Lab, processes_of

MEET = "from mpi4py import MPI\nworld = MPI.COMM_WORLD\nworld.Barrier()\n"
#: All ranks but rank 2 wait in a collective for ever.
WAIT = "world.Barrier()"
READY = "mark('ready ' + os.environ['OMPI_COMM_WORLD_RANK'])\n"


def verdict(lab: Lab, view: View) -> Mapping[str, Any]:
    """The verdict on a run of which nothing is left, neither processes nor Open MPI's files."""
    assert lab.nothing_left(view.record.run_id)
    assert sessions(lab, view.record.run_id) == []
    return view.record.verdict or {}


def sessions(lab: Lab, run_id: str) -> list[Path]:
    folder = Path(mpirun.session_folder(str(lab.path(run_id)), 4))
    found = [folder] if folder.exists() else []
    return found + [one for one in Path("/dev/shm").glob("*_segment.*") if Path("/dev/shm").is_dir()]


def ready(lab: Lab, run_id: str) -> None:
    for rank in range(4):
        lab.marked(run_id, f"ready {rank}")


def launcher(lab: Lab, run_id: str) -> int:
    """Process id of the run's mpirun, once it has started all ranks."""
    lab.started(run_id, 4)
    return next(pid for pid, line in processes_of(run_id) if " --oversubscribe " in line)
