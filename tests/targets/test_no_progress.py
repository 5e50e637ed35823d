"""A run of which nothing is heard: every rank shows what it is doing, the odd one is named, all are stopped."""

from __future__ import annotations

import time
from typing import Any

import pytest

from airflow_train.runtime import protocol
from tests.targets.lab import Lab, until

TWO = {"distribution": {"type": "pytorch"}, "process_count_per_node": 2}
THREE = {"distribution": {"type": "pytorch"}, "process_count_per_node": 3}
SOON: dict[str, Any] = {"no_progress_timeout": 1, "grace_seconds": 0.5}


def verdict(lab: Lab, run_id: str) -> dict[str, Any]:
    """The verdict; nothing of the run is left."""
    found = dict(lab.wait(run_id).record.verdict or {})
    assert lab.nothing_left(run_id)
    assert not lab.path(run_id, "node_0", protocol.STACKS_FOLDER).exists()
    return found


def hung(lab: Lab, code: str, **job: Any) -> tuple[dict[str, Any], str]:
    """Verdict and the first rank's log of a script that hangs."""
    run_id = lab.start(code, **{**SOON, **job})
    found = verdict(lab, run_id)
    assert (found["status"], found["reason"]) == ("Failed", "no_progress")
    return found, "\n".join(lab.lines(run_id, 0))


def test_one_script_shows_its_stack_and_the_call_it_hangs_in(lab: Lab) -> None:
    found, log = hung(lab, "def load():\n    time.sleep(1000)\nload()")

    assert "came for 1 s (no_progress_timeout), so the run was stopped." in found["message"]
    assert "The script was at train.py, line 7, in load: `time.sleep(1000)`." in found["message"]
    assert "no progress for 1 s; what this rank is doing:" in log
    assert "in load\n" in log
    assert "in <module>" in log


def test_the_rank_that_keeps_the_others_waiting_is_named(lab: Lab) -> None:
    """Two wait for the third in what looks like a collective; it sleeps elsewhere."""
    code = """
    def barrier():
        while True: time.sleep(0.01)
    def load_batch():
        time.sleep(1000)
    load_batch() if os.environ["RANK"] == "1" else barrier()
    """
    found, _ = hung(lab, code, **THREE)

    assert (found["rank"], found["node"]) == (1, 0)
    assert "Rank 1 of 3 (node 0) was at train.py, line 10, in load_batch" in found["message"]
    assert "2 of the others were at train.py, line 8, in barrier" in found["message"]


def test_of_several_nodes_the_right_one_is_named_and_its_stack_is_in_the_log_of_the_rank(lab: Lab) -> None:
    code = """
    def barrier():
        while True: time.sleep(0.01)
    def load_batch():
        time.sleep(1000)
    load_batch() if os.environ["RANK"] == "3" else barrier()
    """
    run_id = lab.start(code, **SOON, **TWO, node_count=2)
    found = verdict(lab, run_id)

    assert (found["reason"], found["rank"], found["node"]) == ("no_progress", 3, 1)
    assert "Rank 3 of 4 (node 1) was at train.py, line 10, in load_batch" in found["message"]
    assert "3 of the others were at train.py, line 8, in barrier" in found["message"]
    assert "in load_batch" in "\n".join(lab.lines(run_id, 3))


def test_the_stack_that_differs_is_the_odd_one(lab: Lab) -> None:
    found, _ = hung(
        lab,
        """
        def one(): time.sleep(1000)
        def other(): time.sleep(1000)
        other() if os.environ["RANK"] == "2" else one()
        """,
        **THREE,
    )

    assert found["rank"] == 2


def test_of_two_that_do_the_same_the_one_that_stopped_first_is_named(lab: Lab) -> None:
    code = """
    for _ in range(1 if os.environ["RANK"] == "1" else 30):
        print("step", flush=True)
        time.sleep(0.05)
    time.sleep(1000)
    """
    assert hung(lab, code, **TWO)[0]["rank"] == 1


@pytest.mark.parametrize(
    "progress",
    [
        "print('.', end='', flush=True)",
        "import train_run; train_run.Run.get_context().log('x', 1)",
        "open('logs/train.log', 'a').write('line')",
    ],
)
def test_whatever_a_script_says_is_progress(lab: Lab, progress: str) -> None:
    view = lab.run(
        f"for _ in range(30):\n    {progress}\n    time.sleep(0.1)\nsys.stdout.flush()", no_progress_timeout=1
    )

    assert view.status == "Completed"


@pytest.mark.parametrize("nodes", [1, 2])
def test_one_rank_that_goes_on_is_enough(lab: Lab, nodes: int) -> None:
    code = """
    for n in range(30):
        if os.environ["RANK"] == str(int(os.environ["WORLD_SIZE"]) - 1): print(n, flush=True)
        time.sleep(0.1)
    """
    assert lab.run(code, no_progress_timeout=1, **TWO, node_count=nodes).status == "Completed"


def test_a_stopped_rank_can_show_nothing_and_is_named_for_it(lab: Lab) -> None:
    code = "os.kill(os.getpid(), signal.SIGSTOP) if os.environ['RANK'] == '1' else time.sleep(1000)"
    found, _ = hung(lab, code, **THREE)

    assert found["rank"] == 1
    assert "Rank 1 of 3 (node 0) gave no sign: process" in found["message"]
    assert "is stopped by a signal" in found["message"]


def test_a_script_that_waits_in_c_and_holds_the_lock_of_the_interpreter_shows_its_stack(lab: Lab) -> None:
    found, _ = hung(
        lab,
        """
        import ctypes
        def holds():
            ctypes.PyDLL(None).sleep(1000)
        holds()
        """,
    )

    assert "in holds" in found["message"]


@pytest.mark.parametrize(
    "own",
    [
        "for n in set(signal.Signals) - {9, 19, 18, 17}: signal.signal(n, lambda *_: mark('handled'))",
        "signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGUSR1, signal.SIGTERM})",
        "os.closerange(3, 800)",
        "import faulthandler; faulthandler.enable(); faulthandler.register(signal.SIGUSR1)",
    ],
)
def test_scripts_with_signal_handlers_of_their_own_show_their_stacks_too(lab: Lab, own: str) -> None:
    assert "in load\n" in hung(lab, f"{own}\ndef load(): time.sleep(1000)\nload()")[1]


def test_a_shell_around_the_script_and_its_children_are_looked_through(lab: Lab) -> None:
    found, log = hung(lab, "", command="echo begin; python3 -c 'import time; time.sleep(1000)'; echo end")

    assert "<string>" in found["message"]
    assert "(/bin/sh -c echo begin" in log


def test_without_any_python_the_processes_are_told_and_nobody_is_killed_by_the_question(lab: Lab) -> None:
    run_id = lab.start(
        "", command="trap 'echo saved; exit 0' TERM; sleep 1000 & wait", **{**SOON, "grace_seconds": 5}
    )
    found = verdict(lab, run_id)

    assert found["reason"] == "no_progress"
    assert "sleep 1000) is sleeping" in found["message"]
    assert "and no Python that could be asked for its stack" in found["message"]
    assert lab.lines(run_id)[-1] == "saved"


def test_forked_workers_show_their_stacks_too(lab: Lab) -> None:
    _, log = hung(
        lab,
        """
        def worker(): time.sleep(1000)
        def main(): os.wait()
        if os.fork() == 0: worker()
        main()
        """,
    )

    assert "in worker\n" in log
    assert "in main\n" in log


def test_a_sitecustomize_of_the_user_still_works(lab: Lab, tmp_path: Any) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("import builtins; builtins.ours = 'here'\n")
    view = lab.run(
        "print(ours, __import__('sitecustomize').__file__)",
        no_progress_timeout=60,
        environment_variables={"PYTHONPATH": str(tmp_path / "site")},
    )

    assert lab.lines(view.record.run_id) == [f"here {tmp_path}/site/sitecustomize.py"]


def test_without_a_timeout_a_script_finds_nothing_of_ours_in_its_way(lab: Lab) -> None:
    code = "print('sitecustomize' in sys.modules and sys.modules['sitecustomize'].__file__)"
    view = lab.run(code)

    assert "on_start" not in lab.lines(view.record.run_id)[0]


def test_a_script_that_saves_on_term_does_so(lab: Lab) -> None:
    code = """
    def save(*_):
        open("outputs/checkpoint", "w").write("saved")
        sys.exit(0)
    signal.signal(signal.SIGTERM, save)
    time.sleep(1000)
    """
    run_id = lab.start(code, **{**SOON, "grace_seconds": 5})

    assert verdict(lab, run_id)["reason"] == "no_progress"
    assert lab.output(run_id, "outputs/checkpoint") == "saved"


@pytest.mark.deviates("docker", "the answer may be written before anybody outside hears of the question")
def test_a_supervisor_killed_over_the_question_leaves_a_run_that_is_judged(lab: Lab) -> None:
    run_id = lab.start("print('ready', flush=True); time.sleep(1000)", **SOON)
    until(lambda: any("what this rank is doing" in line for line in lab.lines(run_id)))
    lab.kill_supervisor(run_id)

    assert verdict(lab, run_id)["status"] == "Failed"


@pytest.mark.mpi
def test_ranks_of_mpi_show_their_stacks_and_the_one_that_does_not_come_is_named(
    lab: Lab, job: dict[str, Any]
) -> None:
    code = """
    from mpi4py import MPI
    world = MPI.COMM_WORLD
    world.Barrier()
    def train(): time.sleep(1000)
    train() if world.rank == 3 else world.Barrier()
    """
    began = time.monotonic()
    found, log = hung(lab, code, **{**job, "no_progress_timeout": 3})

    assert (found["rank"], found["node"]) == (3, 1)
    assert "world.Barrier()" in found["message"]
    assert "what this rank is doing" in log
    assert time.monotonic() - began < 30


def test_a_server_that_was_sent_home_has_its_grace_although_it_is_quiet(lab: Lab) -> None:
    servers = {"distribution": {"type": "tensorflow", "worker_count": 1, "parameter_server_count": 1}}
    code = """
    def leave(*_):
        time.sleep(1.5)
        sys.exit(0)
    signal.signal(signal.SIGTERM, leave)
    while os.environ["AIRFLOW_TRAIN_RANK"] == "1": time.sleep(0.05)
    """
    view = lab.run(code, **servers, no_progress_timeout=0.7, grace_seconds=20)

    assert view.status == "Completed"
