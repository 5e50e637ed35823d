"""Workers of a ParallelTaskConfiguration: started again when they fail, as often and after what its author said."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from airflow_train.lifecycle import cancel
from airflow_train.lifecycle.observe import View
from airflow_train.runtime import protocol
from tests.targets.lab import Lab, until

#: Ends with the next of the codes in CODES each time it is started; rank 1 always ends well.
ENDS = """
if os.environ["AIRFLOW_TRAIN_RANK"] == "1":
    sys.exit()
codes = os.environ["CODES"].split()
tries = open(os.environ["MARK"]).read().splitlines().count("start 0")
print("try", tries, flush=True)
code = int(codes[tries - 1])
os.kill(os.getpid(), -code) if code < 0 else sys.exit(code)
"""


def parallel(retries: int = 0, terminal: tuple[int, ...] = (), workers: int = 1) -> dict[str, Any]:
    return {
        "type": "paralleltask",
        "worker_count_per_node": workers,
        "max_retries_per_worker": retries,
        "terminal_exit_codes": list(terminal),
    }


def run(lab: Lab, codes: str, **distribution: Any) -> View:
    variables = {"CODES": codes}
    return lab.run(ENDS, environment_variables=variables, distribution=parallel(**distribution))


def test_a_worker_that_fails_is_started_again_and_the_run_completes(lab: Lab) -> None:
    view = run(lab, "3 -9 0", retries=2)

    assert view.status == "Completed"
    assert lab.lines(view.record.run_id) == [
        "try 1",
        "The worker ended with code 3; retry 1 of 2.",
        "try 2",
        "The worker ended by signal 9; retry 2 of 2.",
        "try 3",
    ]
    assert view.record.exits[0]["retries"] == 2


def test_a_worker_that_goes_on_failing_fails_the_run_after_its_retries(lab: Lab) -> None:
    view = run(lab, "3 4 5 6", retries=2)

    assert (view.record.verdict or {})["message"] == "The script exited with code 5 after 2 retries."
    assert lab.marks(view.record.run_id) == ["start 0"] * 3


def test_a_terminal_exit_code_is_never_tried_again(lab: Lab) -> None:
    view = run(lab, "3 77 0", retries=5, terminal=(77,))

    assert (view.record.verdict or {})["message"] == "The script exited with code 77 after 1 retry."


def test_a_signal_is_a_terminal_exit_code_as_shells_count_it(lab: Lab) -> None:
    view = run(lab, "-11 0", retries=5, terminal=(139,))

    assert view.status == "Failed"
    assert lab.marks(view.record.run_id) == ["start 0"]


def test_without_retries_one_failure_is_enough(lab: Lab) -> None:
    assert run(lab, "3 0").status == "Failed"


def test_every_node_has_its_workers_and_each_is_counted(lab: Lab) -> None:
    variables = {"CODES": "3 0"}
    distribution = parallel(retries=1, workers=2)
    view = lab.run(
        "if os.environ['AIRFLOW_TRAIN_RANK'] != '0': sys.exit()\n" + ENDS,
        environment_variables=variables,
        distribution=distribution,
        node_count=2,
        process_count_per_node=2,
    )

    assert view.status == "Completed"
    assert [(view.record.exits[rank]["node"], view.record.exits[rank]["retries"]) for rank in range(4)] == [
        (0, 1), (0, 0), (1, 0), (1, 0),
    ]  # fmt: skip


def test_a_command_that_can_not_be_started_is_not_tried_again(lab: Lab) -> None:
    view = lab.run("", command=["no-such-program"], distribution=parallel(retries=5))

    assert "could not be started" in (view.record.verdict or {})["message"]
    assert view.record.exits[0]["retries"] == 0


def test_a_cancelled_worker_is_not_started_again(lab: Lab) -> None:
    run_id = lab.start("mark('waits'); time.sleep(600)", distribution=parallel(retries=1000))
    lab.marked(run_id, "waits")
    cancel.cancel(lab.store, run_id, by="test")
    view = lab.wait(run_id)

    assert view.status == "Canceled"
    assert lab.marks(run_id) == ["start 0", "waits"]


def test_what_a_failed_try_left_behind_is_ended_before_the_next(lab: Lab) -> None:
    view = lab.run(
        """
        if "left" not in open(os.environ["MARK"]).read():
            subprocess.Popen(["sleep", "600"], start_new_session=True)
            mark("left")
            sys.exit(1)
        """,
        distribution=parallel(retries=1),
    )

    assert view.status == "Completed"
    assert view.record.exits[0]["ended_leftovers"] == 1
    until(lambda: lab.nothing_left(view.record.run_id))


@pytest.mark.deviates(
    "docker", "nothing in a container outlives its first process, so there is no exit record"
)
def test_no_worker_is_started_again_when_its_supervisor_is_dead(lab: Lab) -> None:
    run_id = lab.start("time.sleep(0.05); sys.exit(1)", distribution=parallel(retries=100_000))
    until(lambda: len(lab.marks(run_id)) > 2)
    os.kill(lab.supervisor(run_id), signal.SIGKILL)
    view = lab.wait(run_id)
    tries = lab.marks(run_id)

    assert view.status == "Failed"
    assert lab.nothing_left(run_id)
    assert view.record.exits[0]["stopped_by"] == protocol.SUPERVISOR_LOST
    assert lab.marks(run_id) == tries


@pytest.mark.cgroups
@pytest.mark.usefixtures("cgroups")
def test_a_try_that_ran_out_of_memory_does_not_explain_how_the_next_one_failed(lab: Lab) -> None:
    code = """
    tries = open(os.environ["MARK"]).read().splitlines().count("start 0")
    big = bytearray(200 << 20) if tries == 1 else None
    raise ValueError("a bug")
    """
    view = lab.run(code, distribution=parallel(retries=1), memory="64Mi", memory_bytes=64 << 20)
    verdict = view.record.verdict or {}

    assert lab.lines(view.record.run_id)[0] == "The worker ended by signal 9, out of memory; retry 1 of 1."
    assert verdict["reason"] == "script"
    assert verdict["message"].startswith("The script exited with code 1 after 1 retry: ValueError: a bug")
