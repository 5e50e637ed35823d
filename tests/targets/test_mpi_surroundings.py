"""Where whoever submits an MPI run lives changes nothing about it: batch systems, other mpiruns, odd environments."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable
from typing import Any

import pytest

from airflow_train.lifecycle import cancel
from airflow_train.runtime import mpi_environment, mpirun
from tests.targets.lab import Lab, until
from tests.targets.worlds import MEET, READY, launcher, ready, verdict

pytestmark = [pytest.mark.mpi, pytest.mark.only("local")]

SUM = MEET + "print(world.allreduce(1))\n"
SLURM = {"SLURM_JOB_ID": "17", "SLURM_NODELIST": "other[1-2]", "SLURM_JOB_NODELIST": "other[1-2]",
         "SLURM_NNODES": "2", "SLURM_TASKS_PER_NODE": "4(x2)", "SLURM_JOB_CPUS_PER_NODE": "4(x2)"}  # fmt: skip
PBS = {"PBS_ENVIRONMENT": "PBS_BATCH", "PBS_JOBID": "17.x", "PBS_NODEFILE": "/nowhere"}
GRID_ENGINE = {"PE_HOSTFILE": "/nowhere", "SGE_ROOT": "/x", "ARC": "x", "JOB_ID": "1"}
OPERATOR = {
    "OMPI_MCA_orte_default_hostfile": "/nowhere",
    "PRTE_MCA_prte_default_hostfile": "/nowhere",
    "OMPI_MCA_plm_rsh_agent": "/bin/false",
}
OUTER = {"OMPI_COMM_WORLD_RANK": "3", "OMPI_COMM_WORLD_SIZE": "9", "OMPI_MCA_ess": "pmi", "PMIX_RANK": "3",
         "PMIX_NAMESPACE": "1@2", "PMIX_SERVER_URI4": "1;tcp4://127.0.0.1:1", "PRTE_LAUNCHED": "1"}  # fmt: skip


@pytest.mark.parametrize(
    "found", [SLURM, PBS, GRID_ENGINE, OPERATOR, OUTER], ids=lambda found: next(iter(found))
)
def test_ranks_start_here_whatever_the_submitters_environment_tells_mpirun(
    lab: Lab, job: dict[str, Any], monkeypatch: pytest.MonkeyPatch, found: dict[str, str]
) -> None:
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    view = lab.run(SUM, **job)

    assert view.status == "Completed", verdict(lab, view)["message"]
    assert [lab.lines(view.record.run_id, rank) for rank in range(4)] == [["4"]] * 4


def test_a_script_finds_what_its_batch_system_and_its_author_said(
    lab: Lab, job: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**SLURM, "ODD": "a\nb=c\n\n()", "LARGE": "x" * 100_000}.items():
        monkeypatch.setenv(name, value)
    names = ["SLURM_JOB_ID", "ODD", "OMPI_MCA_btl"]
    code = f"print([os.environ[name] for name in {names}], len(os.environ['LARGE']))"
    view = lab.run(code, **job, environment_variables={"OMPI_MCA_btl": "tcp,self"})

    assert lab.lines(view.record.run_id, 3) == ["['17', 'a\\nb=c\\n\\n()', 'tcp,self'] 100000"]


def test_mpi_needs_neither_a_home_nor_a_temporary_folder(
    lab: Lab, job: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setenv("TMPDIR", "/nowhere/" + "x" * 200)

    assert lab.run(SUM, **job).status == "Completed"


@pytest.mark.parametrize("shared", ["none", "little"])
def test_without_enough_shared_memory_a_temporary_folder_serves_unless_its_name_is_too_long(
    monkeypatch: pytest.MonkeyPatch, shared: str
) -> None:
    """The kernel takes 107 bytes for the name of a socket."""
    if shared == "none":
        monkeypatch.setattr(mpirun.os, "access", lambda *_: False)
    else:
        monkeypatch.setattr(mpirun, "_size", lambda _: 20 << 20)
    folders = []
    for name in ("/var/tmp", "/" + "x" * 90):
        monkeypatch.setattr(tempfile, "gettempdir", lambda name=name: name)
        folders.append(os.path.dirname(mpirun.session_folder("/store/runs/a", 4)))

    assert folders == ["/var/tmp", "/tmp"]


def test_what_batch_systems_said_passes_by_mpirun() -> None:
    kept = mpi_environment.for_mpirun({**SLURM, **OUTER, "PMIX_PREFIX": "/opt", "HOME": "/home/ann"})

    assert not [name for name in kept if name.startswith("SLURM_")]
    assert mpi_environment.restored(kept) == {**SLURM, "PMIX_PREFIX": "/opt", "HOME": "/home/ann"}


def test_what_mpirun_said_is_the_reason(
    lab: Lab, job: dict[str, Any], stand_in: Callable[[str], None]
) -> None:
    words = "echo ------; echo 'There are not enough slots'; echo '  available.'; echo ------"
    stand_in(f'[ "$1" = --version ] && exec $mpirun --version\n({words}) >&2\nexit 1')
    said = verdict(lab, lab.run("mark('ran')", **job))

    assert said["message"].endswith(
        "0 of 4 ranks started and 0 running: There are not enough slots available."
    )


def test_an_mpirun_that_was_stopped_is_named_and_goes_on(lab: Lab, job: dict[str, Any]) -> None:
    run_id = lab.start(MEET + READY + "time.sleep(0.5)", **job)
    ready(lab, run_id)
    pid = launcher(lab, run_id)
    os.kill(pid, signal.SIGSTOP)
    words = (
        f"mpirun (process {pid}) was stopped by a signal, and ranks that end wait for it; `kill -CONT {pid}`"
    )
    until(lambda: lab.store.record(run_id).reason.startswith(words))
    os.kill(pid, signal.SIGCONT)

    assert lab.wait(run_id).status == "Completed"


def test_a_run_whose_mpirun_was_stopped_can_be_cancelled(lab: Lab, job: dict[str, Any]) -> None:
    run_id = lab.start(MEET + READY + "time.sleep(1000)", **job)
    ready(lab, run_id)
    os.kill(launcher(lab, run_id), signal.SIGSTOP)
    cancel.cancel(lab.store, run_id)

    assert verdict(lab, lab.wait(run_id))["status"] == "Canceled"


def test_a_rank_that_was_interrupted_fails_like_any_other(lab: Lab, job: dict[str, Any]) -> None:
    view = lab.run(MEET + "if world.rank == 2: raise KeyboardInterrupt\nworld.Barrier()", **job)
    said = verdict(lab, view)

    assert (said["rank"], said["exit_code"]) == (2, 130)
