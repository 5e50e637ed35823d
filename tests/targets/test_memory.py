"""A memory limit holds for a node, and who met it is named."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from airflow_train.runtime import protocol
from tests.targets.lab import Lab, until

pytestmark = [pytest.mark.cgroups, pytest.mark.usefixtures("cgroups")]
own_groups = pytest.mark.only(
    "local"
)  # every rank has a group of its own, a container's ranks have one together

#: What a script eats with: `hold` takes so many MiB and touches them, `lose` starts a process that takes too many.
EAT = """
def hold(mebibytes):
    return bytearray(b"x") * (mebibytes << 20)
def lose():
    return subprocess.run([sys.executable, "-c", "bytearray(b'x') * (1 << 30)"]).returncode
rank = os.environ.get("RANK", "0")
"""
SIZE = 64
LIMIT = {"memory": f"{SIZE}Mi", "memory_bytes": SIZE << 20}
PAIR: dict[str, Any] = {**LIMIT, "distribution": {"type": "pytorch"}, "process_count_per_node": 2}


def said(lab: Lab, code: str, **job: Any) -> tuple[str, str, int | None]:
    """Reason, message and rank of the verdict."""
    view = lab.run(EAT + code, **job)
    assert lab.nothing_left(view.record.run_id)
    verdict = view.record.verdict or {}
    return verdict["reason"], verdict["message"], verdict["rank"]


def test_a_script_that_meets_its_limit_is_told_so(lab: Lab) -> None:
    assert said(lab, "hold(200)", **LIMIT) == (
        "out_of_memory",
        "The script ran out of memory: it was killed at its limit of 64 MiB (memory).",
        0,
    )


@own_groups
def test_the_rank_that_was_killed_is_named_and_what_it_held(lab: Lab) -> None:
    reason, message, rank = said(lab, "hold(200) if rank == '3' else signal.pause()", node_count=2, **PAIR)

    assert (reason, rank) == ("out_of_memory", 3)
    assert message.startswith(
        "Rank 3 of 4 (node 1) ran out of memory: it was killed at its node's limit of 64 MiB"
    )
    assert message.endswith(" MiB.")
    assert "(memory), of which it held" in message


@own_groups
def test_every_node_has_the_limit_for_itself(lab: Lab) -> None:
    meet = "while open(os.environ['MARK']).read().count('ready') < 2: time.sleep(.01)"
    code = f"x = hold(40); mark('ready')\n{meet}"
    spread = lab.run(EAT + code, **{**PAIR, "node_count": 2, "process_count_per_node": 1})

    assert spread.status == "Completed"
    assert said(lab, code, **PAIR)[0] == "out_of_memory"  # two on one node


@own_groups
def test_swap_is_no_way_out(lab: Lab) -> None:
    """Memory and swap have one limit (or there is no swap for the script)."""
    run_id = lab.start("mark('ready'); signal.pause()", **LIMIT)
    lab.marked(run_id, "ready")
    node = lab.groups(run_id)[0] / "node_0"
    limits = [node / name for name in ("memory.memsw.limit_in_bytes", "memory.swap.max", "memory.swappiness")]
    found = {int(file.read_text()) for file in limits if file.exists()}
    os.kill(lab.started(run_id)[0]["script"]["pid"], signal.SIGKILL)
    lab.wait(run_id)

    assert found & {SIZE << 20, 0}


@own_groups
def test_a_rank_that_fails_for_a_process_it_lost_is_out_of_memory_too(lab: Lab) -> None:
    reason, message, rank = said(lab, "sys.exit(3 if rank == '1' and lose() else 0)", **PAIR)

    assert (reason, rank) == ("out_of_memory", 1)
    assert "a process of it was killed at its node's limit of 64 MiB (memory)" in message
    assert message.endswith("and the rank exited with code 3.")


def test_a_rank_that_goes_on_without_a_process_is_said_to_while_it_does(lab: Lab) -> None:
    run_id = lab.start(
        EAT + "signal.signal(signal.SIGUSR1, lambda *_: None); lose(); signal.pause()", **LIMIT
    )
    words = "rank 0 on node 0 goes on, but a process of it ran out of memory and was killed at the limit of 64 MiB"
    until(lambda: lab.look(run_id).record.reason == words)
    lab.kill(run_id, "script", signal.SIGUSR1)
    view = lab.wait(run_id)

    assert view.status == "Completed"
    assert view.record.exits[0]["memory"]["oom_kills"] == 1
    assert words in lab.output(run_id, "system_logs/node_0.txt")


@pytest.mark.only("docker")
def test_in_a_container_a_rank_that_fails_where_a_process_was_lost_is_named_with_the_limit(lab: Lab) -> None:
    """As a data loader's worker: the kernel counts for the container, not for each of its ranks."""
    job = {**PAIR, "memory": "96Mi", "memory_bytes": 96 << 20}
    reason, message, rank = said(lab, "sys.exit(3 if rank == '1' and lose() else 0)", **job)
    assert (reason, rank) == ("out_of_memory", 1)
    assert message.startswith(
        "Rank 1 of 2 (node 0) exited with code 3, after a process of its node was killed"
    )
    assert message.endswith("at its node's limit of 96 MiB (memory).")

    reason, message, _ = said(
        lab, "if rank == '1': lose()\nsignal.pause()", max_run_duration_seconds=3.0, **job
    )
    assert reason == "time_limit"
    assert message.endswith("A process of node 0 was killed at its node's limit of 96 MiB (memory).")


@pytest.mark.only("docker")
def test_in_a_container_full_of_small_processes_a_script_is_killed_and_not_who_watches_over_it(
    lab: Lab,
) -> None:
    """The supervisor is the largest of them."""
    code = """
    while os.fork():
        time.sleep(.01)
        if os.waitpid(-1, os.WNOHANG)[0]: sys.exit('one was killed')
    x = hold(2); signal.pause()
    """
    assert said(lab, dedent(code), max_run_duration_seconds=30.0, **LIMIT)[0] == "out_of_memory"


@own_groups
def test_a_rank_that_waits_for_a_process_it_lost_is_the_cause_when_another_loses_patience(lab: Lab) -> None:
    code = """
    if rank == '1':
        lose(); mark('lost'); signal.pause()
    while 'lost' not in open(os.environ['MARK']).read(): time.sleep(.01)
    raise TimeoutError('rank 1 does not answer')
    """
    reason, message, rank = said(lab, dedent(code), **PAIR)

    assert (reason, rank) == ("out_of_memory", 1)
    assert "Rank 1 of 2 (node 0) ran out of memory: a process of it was killed at" in message
    assert "and the rank was stopped later. Rank 0 of 2 (node 0) exited with code 1: TimeoutError" in message


def test_a_time_limit_that_a_lost_process_led_to_says_so(lab: Lab) -> None:
    reason, message, _ = said(lab, "lose(); signal.pause()", max_run_duration_seconds=3.0, **LIMIT)

    assert reason == "time_limit"
    assert message.endswith("The script ran out of memory: a process of it was killed at its limit of 64 MiB (memory), "
                            "and the rank was stopped later.")  # fmt: skip


@own_groups
def test_what_a_run_used_is_in_its_records(lab: Lab) -> None:
    view = lab.run(EAT + "x = hold(30)", **LIMIT)
    exit_record, report = view.record.exits[0], view.record.report or {}

    assert exit_record["memory"]["oom_kills"] == 0
    assert 30 << 20 < exit_record["memory"]["peak_bytes"] <= report["memory"]["peak_bytes"]["0"] < 60 << 20


@own_groups
def test_a_limit_too_small_for_any_program_is_met_at_once(lab: Lab) -> None:
    assert said(lab, "", memory="1Mi", memory_bytes=1 << 20)[0] == "out_of_memory"


@own_groups
@pytest.mark.mpi
def test_ranks_that_mpirun_starts_are_limited_as_others_are(lab: Lab, mpi_python: str) -> None:
    code = "rank = os.environ['OMPI_COMM_WORLD_RANK']\nhold(200) if rank == '2' else signal.pause()"
    job = {**PAIR, "distribution": {"type": "mpi"}, "node_count": 2, "interpreter_path": mpi_python}
    reason, message, rank = said(lab, code, **job)

    assert (reason, rank) == ("out_of_memory", 2)
    assert message.startswith(
        "Rank 2 of 4 (node 1) ran out of memory: it was killed at its node's limit of 64 MiB"
    )


@own_groups
def test_groups_of_a_killed_supervisor_are_removed_with_whoever_hides_in_them(lab: Lab) -> None:
    """A process that nobody descends from and that carries no run id is found by its group."""
    hidden = "import os, time; open(os.environ['P'], 'w').write(str(os.getpid())); time.sleep(600)"
    code = f"""
        subprocess.Popen([sys.executable, "-c", {hidden!r}], env={{"P": "outputs/pid"}}, start_new_session=True)
        while not (os.path.exists("outputs/pid") and open("outputs/pid").read()): time.sleep(.01)
        mark(open("outputs/pid").read()); mark("ready"); signal.pause()
        """
    run_id = lab.start(code, **LIMIT)
    lab.marked(run_id, "ready")
    pid = next(int(word) for word in lab.marks(run_id) if word.isdigit())
    for victim in (lab.supervisor(run_id), lab.started(run_id)[0]["wrapper"]["pid"]):
        os.kill(victim, signal.SIGKILL)
    until(lambda: lab.store.record(run_id).exits or lab.groups(run_id))
    view = lab.wait(run_id)

    assert view.status == "Failed"
    assert protocol.start_time(pid) is None
    assert lab.nothing_left(run_id)


@own_groups
def test_where_groups_can_not_be_written_one_line_says_so_and_the_run_goes_on(
    lab: Lab, tmp_path: Path
) -> None:
    """In a mount namespace where they are read only, as in most containers."""
    if os.geteuid() or subprocess.call(["unshare", "--mount", "true"], stderr=subprocess.DEVNULL):
        pytest.skip("no mount namespace of one's own here")
    (tmp_path / "train.py").write_text("print('trained')")
    (tmp_path / "run.yaml").write_text(
        "type: Estimator\nsource_directory: .\nentry_script: train.py\nmemory: 64Mi\n"
    )
    read_only = (
        'mount -o remount,bind,ro "$(findmnt -rn -o TARGET -t cgroup -O memory || echo /sys/fs/cgroup)"'
    )
    command = [sys.executable, "-m", "airflow_train.cli", "run", str(tmp_path / "run.yaml")]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", f'{read_only} && exec "$@"', "sh", *command],
        capture_output=True,
        text=True,
        check=False,
    )
    run = lab.store.list_runs(limit=1)[0]

    assert done.returncode == 0, done.stderr
    assert "the memory limit of 64 MiB is not enforced here: /sys/fs/cgroup" in done.stdout + done.stderr
    assert lab.store.record(run.run_id).exits[0]["memory"] is None
