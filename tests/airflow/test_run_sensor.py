"""`RunSensor`: waits for runs of tasks that don't wait themselves, and owns them."""

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

SUBMIT = """
data = {"type": "Estimator", "source_directory": "code", "entry_script": "train.py", "grace_seconds": 1}
train = EstimatorOperator(task_id="train", estimator=data, wait_for_completion=False)
"""
LOGS = """
    import time
    from train_run import Run
    time.sleep(0.3)
    Run.get_context().log("loss", 0.5)
"""


@pytest.fixture(autouse=True)
def our_signals() -> Iterator[None]:
    """Airflow's task runner leaves its signal handler behind."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_it_waits_for_a_run_that_was_only_submitted_and_tells_how_it_ended(
    make_dag: Dag, run_dag: Run, script: Script, store: Any, mode: str
) -> None:
    script(LOGS)
    wait = f'RunSensor(task_id="wait", run_id=train.output["run_id"], mode="{mode}", poke_interval=0.1)'
    outcome = run_dag(make_dag(SUBMIT + wait))
    assert outcome.states() == {"train": "success", "wait": "success"}
    assert outcome.xcom("train", "status") != "Completed"
    found = outcome.xcom("wait")
    assert (found["status"], found["metrics"]) == ("Completed", {"loss": 0.5})
    assert found["run_id"] == outcome.xcom("train", "run_id")
    owners = [one["owner"] for one in store.record(found["run_id"]).owners]
    assert owners == [str(outcome.task("train").id), str(outcome.task("wait").id)]


def test_it_fails_with_the_runs_own_words_and_once(
    make_dag: Dag, run_dag: Run, script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    script("raise ValueError('bad weather')")
    wait = 'RunSensor(task_id="wait", run_id=train.output["run_id"], poke_interval=0.1, retry_delay=timedelta(0))'
    outcome = run_dag(make_dag(SUBMIT + wait))
    assert outcome.states() == {"train": "success", "wait": "failed"}
    assert outcome.task("wait").try_number == 1


@pytest.mark.parametrize("run_id", ["{{ run_id }}", "", "train-doesnotexist"])
def test_what_names_no_run_is_refused_at_once(make_dag: Dag, run_dag: Run, run_id: str) -> None:
    outcome = run_dag(make_dag(f'RunSensor(task_id="wait", run_id="{run_id}", retry_delay=timedelta(0))'))
    assert outcome.task("wait").try_number == 1
    assert outcome.state == "failed"


def test_a_user_who_ends_a_poking_sensor_ends_its_run_at_once(
    make_dag: Dag, run_dag: Run, script: Script, store: Any
) -> None:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    from airflow_train.lifecycle.wait import wait

    def owned_by_two() -> bool:
        runs = store.list_runs()
        return bool(runs) and len(store.record(runs[0].run_id).owners) == 2

    def kill() -> None:
        while not owned_by_two():
            time.sleep(0.01)
        with create_session() as session:
            session.query(TaskInstance).filter_by(task_id="wait", state="running").one().state = "failed"
        os.kill(os.getpid(), signal.SIGTERM)

    script("import time; time.sleep(300)")
    threading.Thread(target=kill, daemon=True).start()
    began = time.monotonic()
    outcome = run_dag(
        make_dag(SUBMIT + 'RunSensor(task_id="wait", run_id=train.output["run_id"], poke_interval=120)')
    )
    assert outcome.task("wait").try_number == 1
    assert wait(store, outcome.xcom("train", "run_id"), timeout=30).status == "Canceled"
    assert time.monotonic() - began < 60


def test_a_run_that_its_own_task_waits_for_stays_that_tasks(
    make_dag: Dag, run_dag: Run, script: Script, store: Any
) -> None:
    script("print('hello')")
    waiting = SUBMIT.replace("wait_for_completion=False", "")
    outcome = run_dag(make_dag(waiting + 'RunSensor(task_id="wait", run_id=train.output["run_id"])'))
    assert outcome.state == "success"
    assert store.owner(outcome.xcom("wait")["run_id"]) == str(outcome.task("train").id)


def test_a_sensor_that_has_waited_leaves_no_switch_behind(
    make_dag: Dag, script: Script, dags_folder: Path
) -> None:
    """Operators are copied by Airflow; what can't be copied must not stay on them."""
    import copy

    script("print('hello')")
    dag = make_dag(SUBMIT + 'RunSensor(task_id="wait", run_id=train.output["run_id"])')
    assert copy.deepcopy(dag.get_task("wait"))._switch is None
