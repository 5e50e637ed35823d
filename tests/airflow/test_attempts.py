"""Kill, retry and clear: a script is trained once where a retry continues, and again where somebody cleared."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Dag = Callable[..., Any]
Run = Callable[..., Any]
Script = Callable[..., str]

#: Leaves a mark for each start, and ends when it is allowed to.
WAITS = """
    import os, pathlib, time
    marks = pathlib.Path(os.environ["MARKS"])
    (marks / f"started-{os.getpid()}").touch()
    while not (marks / "go").exists():
        time.sleep(0.02)
"""
DATA = {"type": "Estimator", "source_directory": "code", "entry_script": "train.py", "grace_seconds": 1}


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    """Folder in which scripts leave a file for each start."""
    return tmp_path


@pytest.fixture(autouse=True)
def our_signals() -> Iterator[None]:
    """Airflow's task runner leaves its signal handler behind."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def train(marks: Path, more: str = "") -> str:
    data = {**DATA, "environment_variables": {"MARKS": str(marks)}}
    return f'train = EstimatorOperator(task_id="train", estimator={data}, retry_delay=timedelta(0), {more})'


def starts(marks: Path) -> int:
    return len(list(marks.glob("started-*")))


def when(condition: Callable[[], object], action: Callable[[], object]) -> threading.Thread:
    """Do something as soon as a condition holds, while the DAG runs in the main thread."""

    def wait() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if condition():
                action()
                return
            time.sleep(0.01)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def end_worker() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def set_state(task_id: str, state: str) -> None:
    """What the UI does when a user marks a running task."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    with create_session() as session:
        for ti in session.query(TaskInstance).filter_by(task_id=task_id, state="running"):
            ti.state = state


def test_the_next_try_takes_over_the_run_of_a_worker_that_was_told_to_end(
    make_dag: Dag, run_dag: Run, script: Script, store: Any, marks: Path
) -> None:
    script(WAITS)
    when(lambda: starts(marks) == 1, end_worker)
    when(lambda: len(owners(store)) == 2, (marks / "go").touch)
    outcome = run_dag(make_dag(train(marks)))
    assert outcome.states() == {"train": "success"}
    assert outcome.task("train").try_number == 2
    assert starts(marks) == 1
    assert len(store.list_runs()) == 1


def owners(store: Any) -> list[str]:
    runs = store.list_runs()
    return [one["owner"] for one in store.record(runs[0].run_id).owners] if runs else []


def test_a_user_who_ends_the_task_ends_its_run(
    make_dag: Dag, run_dag: Run, script: Script, store: Any, marks: Path
) -> None:
    script(WAITS)
    when(lambda: starts(marks) == 1, lambda: (set_state("train", "failed"), end_worker()))
    outcome = run_dag(make_dag(train(marks)))
    assert outcome.task("train").try_number == 1
    assert ended(store) == ["Canceled"]
    assert starts(marks) == 1


def ended(store: Any) -> list[str]:
    """Statuses of all runs, newest first, once they have ended."""
    from airflow_train.lifecycle.wait import wait

    return [wait(store, run.run_id, timeout=30).status for run in store.list_runs()]


def test_on_kill_leave_lets_the_run_go_on(
    make_dag: Dag, run_dag: Run, script: Script, store: Any, marks: Path
) -> None:
    script(WAITS)
    when(lambda: starts(marks) == 1, lambda: (set_state("train", "failed"), end_worker()))
    run_dag(make_dag(train(marks, "on_kill='leave', retries=0")))
    (marks / "go").touch()
    assert ended(store) == ["Completed"]


def test_the_last_try_of_a_worker_that_goes_away_takes_its_run_along(
    make_dag: Dag, run_dag: Run, script: Script, store: Any, marks: Path
) -> None:
    script(WAITS)
    when(lambda: starts(marks) == 1, end_worker)
    run_dag(make_dag(train(marks, "retries=0")))
    assert ended(store) == ["Canceled"]


def test_execution_timeout_ends_the_run_and_the_next_try_starts_anew(
    make_dag: Dag, run_dag: Run, script: Script, store: Any, marks: Path
) -> None:
    script(WAITS)
    when(lambda: starts(marks) == 2, (marks / "go").touch)
    outcome = run_dag(make_dag(train(marks, "execution_timeout=timedelta(seconds=3)")))
    assert outcome.states() == {"train": "success"}
    assert ended(store) == ["Completed", "Canceled"]


def clear_and_run(dag: Any, dag_run: Any, task_id: str) -> str:
    """Airflow's own clear of one task, then that task once more, as `dag.test()` runs it; returns its state."""
    from airflow.models.taskinstance import TaskInstance, clear_task_instances
    from airflow.sdk.definitions.dag import _run_task
    from airflow.utils.session import create_session

    with create_session() as session:
        ti = session.query(TaskInstance).filter_by(run_id=dag_run.run_id, task_id=task_id).one()
        clear_task_instances([ti], session)
    with create_session() as session:
        ti = session.query(TaskInstance).filter_by(run_id=dag_run.run_id, task_id=task_id).one()
        ti.try_number += 1
        ti.state = "scheduled"
        ti.dag_run.state = "running"
        session.commit()
        session.expunge_all()
    _run_task(ti=ti, task=dag.get_task(task_id))
    return ti.state.value


def test_a_clear_trains_again(make_dag: Dag, run_dag: Run, script: Script, store: Any, marks: Path) -> None:
    script(WAITS)
    (marks / "go").touch()
    dag = make_dag(train(marks))
    dag_run = run_dag(dag).dag_run
    assert clear_and_run(dag, dag_run, "train") == "success"
    assert starts(marks) == 2
    assert ended(store) == ["Completed", "Completed"]


def test_a_clear_ends_the_live_run_before_it_trains_again(
    make_dag: Dag, run_dag: Run, script: Script, store: Any, marks: Path
) -> None:
    script(WAITS)
    dag = make_dag(train(marks, "wait_for_completion=False"))
    dag_run = run_dag(dag).dag_run
    assert clear_and_run(dag, dag_run, "train") == "success"
    _, old = store.list_runs()
    assert old.status == "Canceled"
    assert store.record(old.run_id).cancel["reason"] in (
        "the task was cleared",
        "the dag run was started again",
    )
    (marks / "go").touch()
    assert ended(store) == ["Completed", "Canceled"]


#: Trains five epochs, one checkpoint each, and waits before the third until it is killed; the next attempt goes on.
EPOCHS = """
    import os, pathlib, sys, time
    marks = pathlib.Path(os.environ["MARKS"])
    (marks / f"started-{os.getpid()}").touch()
    first = 0
    if "--resume-from" in sys.argv:
        first = int(pathlib.Path(sys.argv[sys.argv.index("--resume-from") + 1], "epoch").read_text()) + 1
    for epoch in range(first, 5):
        print("epoch", epoch, flush=True)
        pathlib.Path("outputs/epoch").write_text(str(epoch))
        while first == 0 and epoch == 2:
            (marks / f"pid-{os.getpid()}").touch()
            time.sleep(0.02)
"""


def epochs(store: Any) -> list[list[int]]:
    """Epochs that each run has trained, oldest run first."""
    from airflow_train.lifecycle.run import Run

    runs = [Run(one.run_id, store) for one in reversed(store.list_runs())]
    words = [[line.text.split() for line in run.logs()] for run in runs]
    return [[int(word[1]) for word in said if word[:1] == ["epoch"]] for said in words]


def test_a_retry_goes_on_from_the_checkpoint_of_the_killed_script_and_a_clear_trains_anew(
    make_dag: Dag, run_dag: Run, script: Script, store: Any, marks: Path
) -> None:
    script(EPOCHS)

    def kill_script() -> None:
        os.kill(int(next(marks.glob("pid-*")).name[4:]), signal.SIGKILL)

    when(lambda: list(marks.glob("pid-*")), kill_script)
    data = {**DATA, "environment_variables": {"MARKS": str(marks)}, "resume_from": "previous"}
    dag = make_dag(f'train = EstimatorOperator(task_id="train", estimator={data}, retry_delay=timedelta(0))')
    outcome = run_dag(dag)
    assert outcome.states() == {"train": "success"}
    assert outcome.task("train").try_number == 2
    assert epochs(store) == [[0, 1, 2], [3, 4]]

    for one in marks.glob("pid-*"):
        one.unlink()
    when(lambda: list(marks.glob("pid-*")), kill_script)
    clear_and_run(dag, outcome.dag_run, "train")
    assert epochs(store)[2] == [0, 1, 2]


def test_a_retry_after_the_run_completed_takes_its_result(
    make_dag: Dag, run_dag: Run, script: Script, store: Any, marks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the worker died between the end of the run and the end of the task."""
    from airflow_train.tasks import training

    outcome_of = training.outcome
    calls: list[int] = []

    def dies_once(*arguments: Any) -> dict[str, Any]:
        calls.append(1)
        if len(calls) == 1:
            raise OSError("the worker is gone")
        return outcome_of(*arguments)

    monkeypatch.setattr(training, "outcome", dies_once)
    script(WAITS)
    (marks / "go").touch()
    outcome = run_dag(make_dag(train(marks)))
    assert outcome.state == "success"
    assert outcome.task("train").try_number == 2
    assert starts(marks) == 1
    assert outcome.xcom("train", "status") == "Completed"
