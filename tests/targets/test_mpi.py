"""MPI on emulated nodes and on containers: real collectives, and nobody but the supervisor who judges."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from airflow_train import targets
from airflow_train.definitions.job import Job
from airflow_train.lifecycle import cancel
from airflow_train.runtime import protocol
from tests.runtime.crowd import IMAGES
from tests.targets.lab import LOCAL, Lab, processes_of, until
from tests.targets.worlds import MEET, READY, WAIT, launcher, ready, sessions, verdict

pytestmark = pytest.mark.mpi
#: About the mpirun of this machine.
local = pytest.mark.only("local")

# ---------------------------------------------------------------------- a world


def test_ranks_make_one_world_and_see_their_emulated_node(lab: Lab, job: dict[str, Any]) -> None:
    names = ["RANK", "SIZE", "LOCAL_RANK", "LOCAL_SIZE", "NODE_RANK"]
    view = lab.run(
        f"""
        from mpi4py import MPI
        total = MPI.COMM_WORLD.allreduce(MPI.COMM_WORLD.rank)
        print(total, *[os.environ["OMPI_COMM_WORLD_" + name] for name in {names}])
        """,
        **job,
    )

    assert view.status == "Completed", view.record.verdict
    assert [lab.lines(view.record.run_id, rank) for rank in range(4)] == [
        ["6 0 4 0 2 0"],
        ["6 1 4 1 2 1"],
        ["6 2 4 0 2 0"],
        ["6 3 4 1 2 1"],
    ]
    assert {rank: one["node"] for rank, one in view.record.exits.items()} == {0: 0, 1: 0, 2: 1, 3: 1}
    verdict(lab, view)


@local
def test_the_first_node_is_named_as_azure_ml_did_and_nobody_sees_our_own_words(
    lab: Lab, job: dict[str, Any]
) -> None:
    code = "print(os.environ['AZ_BATCH_MASTER_NODE'], sorted(n for n in os.environ if n.endswith('_MPI')))"
    run_id = lab.run(code, **job).record.run_id
    said = {lab.lines(run_id, rank)[0] for rank in range(4)}

    assert len(said) == 1
    assert next(iter(said)).startswith("127.0.0.1:")
    assert next(iter(said)).endswith(" []")


@local
def test_path_of_the_script_is_the_submitters(lab: Lab, job: dict[str, Any]) -> None:
    run_id = lab.run("print(os.environ['PATH'])", **job).record.run_id

    assert lab.lines(run_id, 0) == [os.environ["PATH"]]


def test_big_messages_arrive(lab: Lab, job: dict[str, Any]) -> None:
    code = MEET + "got = world.bcast(b'x' * 30_000_000 if world.rank == 0 else None)\nprint(len(got))"
    view = lab.run(code, **job)

    assert [lab.lines(view.record.run_id, rank) for rank in range(4)] == [["30000000"]] * 4


def test_a_rank_that_is_done_early_leaves_the_others_alone(lab: Lab, job: dict[str, Any]) -> None:
    code = "time.sleep(0) if os.environ['OMPI_COMM_WORLD_RANK'] == '0' else time.sleep(1.5)"

    assert lab.run(code, **job).status == "Completed"


def test_a_command_of_its_own_runs_as_every_rank(lab: Lab, job: dict[str, Any]) -> None:
    view = lab.run("", **job, command="echo rank $OMPI_COMM_WORLD_RANK", entry_script=None)

    assert [lab.lines(view.record.run_id, rank) for rank in range(4)] == [[f"rank {n}"] for n in range(4)]


@pytest.mark.parametrize("command", [None, "python3 -u train.py"])
def test_ranks_that_mpi_has_not_brought_together_have_failed(
    lab: Lab, job: dict[str, Any], command: str | None
) -> None:
    """As with an mpi4py of another MPI than mpirun's: every rank is alone, and does everything."""
    alone = """
os.environ["TMPDIR"] = os.environ["OMPI_MCA_btl_vader_backing_directory"]
for name in list(os.environ):
    if name.startswith(("PMIX_", "OMPI_", "PRTE_")) and not name.endswith(("_directory", "_base")):
        del os.environ[name]
"""
    said = verdict(lab, lab.run(alone + MEET, **job, command=command))

    assert (said["status"], said["exit_code"]) == ("Failed", 1)
    assert "mpirun started 4 ranks, but for this one's MPI the world has 1" in said["last_lines"][-1]


def test_a_rank_that_fails_in_a_command_of_its_own_is_named_too(lab: Lab, job: dict[str, Any]) -> None:
    code = f"{MEET}if world.rank == 2: raise ValueError('no data')\n{WAIT}"
    said = verdict(lab, lab.run(code, **job, command=["python3", "train.py"], entry_script=None))

    assert (said["rank"], said["exception"]["message"]) == (2, "no data")


# ---------------------------------------------------------------------- failures


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("sys.exit(3)", "exited with code 3."),
        ("os._exit(3)", "exited with code 3."),
        (
            "raise ValueError('no data')",
            'exited with code 1: ValueError: no data (File "train.py", line 10, in',
        ),
        ("world.Abort(7)", "exited with code 7."),
        ("os.kill(os.getpid(), 11)", "was ended by SIGSEGV (segmentation fault)."),
    ],
)
def test_the_rank_that_failed_is_named_while_the_others_wait_for_it(
    lab: Lab, job: dict[str, Any], fault: str, words: str
) -> None:
    view = lab.run(f"{MEET}if world.rank == 2:\n    {fault}\n{WAIT}", **job)
    said = verdict(lab, view)

    assert (said["status"], said["reason"], said["rank"], said["node"]) == ("Failed", "script", 2, 1)
    assert said["message"].startswith(f"Rank 2 of 4 (node 1) {words}")
    for one in (view.record.exits[rank] for rank in (0, 1, 3)):
        # from container to container Open MPI 5 itself ends ranks that lose another, before they can be told to stop
        lost_it = one["code"] == protocol.MPI_ERR_UNKNOWN and lab.target["options"].get("image") == IMAGES[5]
        assert one["stopped_by"] == "supervisor" or lost_it, one


def test_ranks_have_their_grace_when_another_has_failed(lab: Lab, job: dict[str, Any]) -> None:
    """mpirun by itself would kill them after a second."""
    view = lab.run(
        f"""
        def save(*_):
            time.sleep(1.5)
            open("outputs/checkpoint", "w").write("saved")
            sys.exit(0)
        signal.signal(signal.SIGTERM, save)
        {READY.strip()}
        if os.environ["OMPI_COMM_WORLD_RANK"] == "1":
            while open(os.environ["MARK"]).read().count("ready") < 4: time.sleep(0.01)
            os._exit(3)
        while True: time.sleep(0.05)
        """,
        **job,
    )

    assert (verdict(lab, view)["rank"], view.record.exits[0]["code"]) == (1, 0)
    assert lab.output(view.record.run_id, "outputs/checkpoint") == "saved"


@pytest.mark.parametrize("part", ["script", "wrapper"])
def test_a_rank_killed_from_outside_is_named(lab: Lab, job: dict[str, Any], part: str) -> None:
    run_id = lab.start(MEET + READY + "if world.rank == 2: time.sleep(1000)\n" + WAIT, **job)
    ready(lab, run_id)
    lab.kill(run_id, part, signal.SIGKILL, rank=2, ranks=4)
    said = verdict(lab, lab.wait(run_id))

    assert (said["status"], said["reason"], said["rank"], said["node"]) == ("Failed", "infrastructure", 2, 1)


@local
def test_a_run_that_is_gone_from_the_store_leaves_nothing_behind(lab: Lab, job: dict[str, Any]) -> None:
    run_id = lab.start(MEET + READY + "time.sleep(1000)", **job)
    ready(lab, run_id)
    shutil.rmtree(lab.path(run_id))

    until(lambda: processes_of(run_id) == [])
    assert sessions(lab, run_id) == []


@local
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_mpirun_ended_from_outside_is_bad_luck_and_no_rank_is_blamed(
    lab: Lab, job: dict[str, Any], number: int
) -> None:
    run_id = lab.start(MEET + READY + "while True: time.sleep(0.05)", **job)
    ready(lab, run_id)
    os.kill(launcher(lab, run_id), number)
    said = verdict(lab, lab.wait(run_id))

    assert (said["status"], said["reason"], said["rank"]) == ("Failed", "infrastructure", None)
    assert "mpirun" in said["message"]


@local
def test_the_supervisor_killed_takes_all_ranks_along_within_two_seconds(
    lab: Lab, job: dict[str, Any]
) -> None:
    run_id = lab.start(MEET + READY + "time.sleep(1000)", **job)
    ready(lab, run_id)
    claim = lab.store.record(run_id).claim or {}
    os.kill(int(claim["pid"]), signal.SIGKILL)
    killed = time.monotonic()
    until(lambda: not [one for one in lab.left_behind(run_id) if one.startswith("process")], seconds=2)

    assert time.monotonic() - killed < 2
    assert verdict(lab, lab.wait(run_id))["reason"] == "infrastructure"


@pytest.mark.parametrize("obeys", [True, False])
def test_a_rank_that_hangs_is_cancelled(lab: Lab, job: dict[str, Any], obeys: bool) -> None:
    code = MEET + READY + ("" if obeys else "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nmark('deaf')\n")
    run_id = lab.start(code + "if world.rank == 2: time.sleep(1000)\n" + WAIT, **job, grace_seconds=0.5)
    ready(lab, run_id)
    until(lambda: obeys or lab.marks(run_id).count("deaf") == 4)
    cancel.cancel(lab.store, run_id)
    view = lab.wait(run_id)

    assert verdict(lab, view)["status"] == "Canceled"
    signals = {one["signal"] for one in view.record.exits.values()}
    # Open MPI 5 ends a rank that has lost another one, maybe before it is told to end
    assert signals - {None} == {signal.SIGTERM if obeys else signal.SIGKILL}


def test_a_rank_that_hangs_meets_the_time_limit(lab: Lab, job: dict[str, Any]) -> None:
    view = lab.run(f"{MEET}if world.rank == 2: time.sleep(1000)\n{WAIT}", **job, max_run_duration_seconds=2)

    assert verdict(lab, view)["reason"] == "time_limit"


# ---------------------------------------------------------------------- another mpirun than planned


@local
def test_a_world_of_another_size_than_planned_is_refused(
    lab: Lab, job: dict[str, Any], stand_in: Callable[[str], None]
) -> None:
    stand_in(
        """
        [ "$1" = --version ] && exec $mpirun --version
        for part in "$@"; do
            shift
            [ "$before" = -n ] && part=2
            set -- "$@" "$part"
            before=$part
        done
        exec $mpirun "$@"
        """
    )
    view = lab.run("mark('ran')", **job)
    said = verdict(lab, view)

    assert (said["status"], said["reason"]) == ("Failed", "could_not_start")
    assert said["message"].endswith(
        "could not be started: mpirun has made a world of 2 ranks, but 4 are planned."
    )
    assert lab.marks(view.record.run_id) == []


@local
def test_an_mpirun_that_starts_nothing_is_named(
    lab: Lab, job: dict[str, Any], stand_in: Callable[[str], None]
) -> None:
    stand_in('[ "$1" = --version ] && exec $mpirun --version\nexit 5')
    said = verdict(lab, lab.run("mark('ran')", **job))

    assert said["status"] == "Failed"
    assert "exited with code 5 with 0 of 4 ranks started and 0 running" in said["message"]


@local
def test_an_mpirun_whose_ranks_never_start_meets_the_limit_of_that_phase(
    lab: Lab, job: dict[str, Any], stand_in: Callable[[str], None]
) -> None:
    stand_in('[ "$1" = --version ] && exec $mpirun --version\nexec sleep 1000')
    spec = replace(lab.spec("mark('ran')", **job), limits={"meet": 0.3})
    lab.submit(spec)
    said = verdict(lab, lab.wait(spec.run_id))

    assert said["reason"] == "phase_limit"
    assert said["message"].startswith(
        "Phase meet (waiting for 4 ranks to start) took longer than its limit of 0.3 s"
    )
    assert "0 of 4 ranks had started" in said["message"]


@local
def test_ranks_that_start_late_are_not_taken_for_hanging_ones(
    lab: Lab, job: dict[str, Any], stand_in: Callable[[str], None]
) -> None:
    stand_in('[ "$1" = --version ] && exec $mpirun --version\nsleep 4\nexec $mpirun "$@"')

    assert lab.run("print('here')", **job, no_progress_timeout=3).status == "Completed"


@local
@pytest.mark.parametrize("version", ["HYDRA build details:", "mpirun (Open MPI) 3.1.2", ""])
def test_another_mpi_is_refused_at_submit_with_the_mend(
    lab: Lab, stand_in: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str
) -> None:
    stand_in(f"echo '{version}'")
    python = str(tmp_path / "bin" / "python")
    monkeypatch.setattr("sys.executable", python)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    job = asdict(Job("Estimator", ".", distribution={"type": "mpi"}, interpreter_path=python))

    sentence = (
        f"distributed_training: mpi needs mpirun of Open MPI 4 or 5, and {tmp_path}/bin/mpirun is neither; "
        "apt-get install openmpi-bin, or pip install 'airflow-train[mpi]'."
    )
    assert targets.get(LOCAL).check(job, lab.store) == [sentence]
    Path(tmp_path, "bin", "mpirun").unlink()
    assert "there is none on PATH or beside the interpreter" in targets.get(LOCAL).check(job, lab.store)[0]
