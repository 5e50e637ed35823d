"""`@task.estimator`: a function says what to train when its arguments are known."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Dag = Callable[..., Any]
Run = Callable[..., Any]
Script = Callable[..., str]

LOGS = """
    import sys
    from train_run import Run
    for name, value in zip(sys.argv[1::2], sys.argv[2::2]):
        Run.get_context().log(name.lstrip("-"), float(value))
"""
BASE = """
type: Estimator
source_directory: code
entry_script: train.py
script_params:
  --c: 1
  --gamma: 0.5
"""


@pytest.fixture(autouse=True)
def base(dags_folder: Path, script: Script) -> None:
    """A script that logs its arguments, and its definition as a file."""
    script(LOGS)
    (dags_folder / "base.yaml").write_text(BASE, encoding="utf-8")


def test_overrides_that_come_from_an_xcom_are_merged_into_the_definition(make_dag: Dag, run_dag: Run) -> None:
    dag = make_dag(
        """
        @task
        def best():
            return 3.0
        @task.estimator(estimator="base.yaml", tags={"from": "{{ dag.dag_id }}"})
        def train(c, dag_run=None):
            assert dag_run is not None, "the context is at hand"
            return {"script_params": {"--c": c}}
        @task
        def after(trained):
            return trained
        after(train(best())["run_id"])
        """
    )
    outcome = run_dag(dag)
    assert outcome.states() == {"best": "success", "train": "success", "after": "success"}
    assert outcome.xcom("train", "metrics") == {"c": 3.0, "gamma": 0.5}
    assert outcome.xcom("after") == outcome.xcom("train", "run_id")
    from airflow_train import Run as Handle

    assert Handle(outcome.xcom("train", "run_id")).tags == {"from": dag.dag_id}


@pytest.mark.parametrize(
    "said",
    [
        'Estimator(source_directory="code", entry_script="train.py")',
        '{"type": "Estimator", "source_directory": "code", "entry_script": "train.py"}',
        '"base.yaml"',
    ],
)
def test_a_function_may_return_a_whole_definition(make_dag: Dag, run_dag: Run, said: str) -> None:
    outcome = run_dag(make_dag(f"@task.estimator\ndef train():\n    return {said}\ntrain()"))
    assert outcome.xcom("train", "status") == "Completed"


def test_mapped_and_overridden_tasks_train_once_each_and_keep_our_retries(
    make_dag: Dag, run_dag: Run, store: Any
) -> None:
    dag = make_dag(
        """
        @task.estimator(estimator=Estimator(source_directory="code", entry_script="train.py"), experiment="grid")
        def train(c, gamma):
            return {"script_params": {"--c": c, "--gamma": gamma}}
        train.partial(gamma=2).expand(c=[1, 2, 3])
        train.override(task_id="again", retries=5)(7, gamma=8)
        """
    )
    assert {dag.get_task("train").retries, dag.get_task("again").retries} == {2, 5}
    outcome = run_dag(dag)
    assert outcome.state == "success"
    found = [outcome.xcom("train", "metrics", index) for index in range(3)]
    assert found == [{"c": float(c), "gamma": 2.0} for c in (1, 2, 3)]
    assert outcome.xcom("again", "metrics") == {"c": 7.0, "gamma": 8.0}
    assert len(store.list_runs(experiment="grid")) == 4


def test_retries_of_the_dag_win_for_mapped_tasks_too(make_dag: Dag) -> None:
    dag = make_dag(
        """
        dag.default_args["retries"] = 4
        @task.estimator
        def train(c):
            return "base.yaml"
        train.expand(c=[1])
        """
    )
    assert dag.get_task("train").retries == 4


@pytest.mark.parametrize(
    ("decorator", "said", "sentence"),
    [
        ("@task.estimator", "None", "train of @task.estimator returned nothing"),
        ("@task.estimator", "7", "train of @task.estimator returned 7"),
        ("@task.estimator", '{"node_count": 2}', "a dict without type"),
        ('@task.estimator(estimator="base.yaml")', '{"node_cuont": 2}', "node_cuont"),
    ],
)
def test_what_is_no_definition_fails_at_once_in_one_sentence(
    make_dag: Dag, run_dag: Run, decorator: str, said: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_train.tasks import failures

    raised: list[str] = []

    class Heard(failures.AirflowFailException):  # type: ignore[misc, name-defined]
        def __init__(self, text: str) -> None:
            raised.append(text)
            super().__init__(text)

    monkeypatch.setattr(failures, "AirflowFailException", Heard)
    outcome = run_dag(make_dag(f"{decorator}\ndef train():\n    return {said}\ntrain()"))
    assert (outcome.state, outcome.task("train").try_number) == ("failed", 1)
    assert any(sentence in text for text in raised)


@pytest.mark.parametrize("decorator", ['@task.estimator("base.yaml")', "@task.estimator(estimator=7)"])
def test_a_wrong_decorator_is_an_error_of_the_dag_file(make_dag: Dag, decorator: str) -> None:
    from airflow_train.exceptions import DefinitionError

    with pytest.raises(DefinitionError):
        make_dag(f"{decorator}\ndef train():\n    return {{}}\ntrain()")


def test_the_serialized_dag_holds_no_object_and_stays_the_same(
    make_dag: Dag, load: Callable[[Path], Any]
) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    dag = make_dag(
        """
        @task.estimator(estimator=Estimator(source_directory="code", entry_script="train.py"))
        def train(c):
            return {}
        train.expand(c=[1])
        train.override(task_id="one")(1)
        """
    )
    again = load(Path(dag.fileloc)).dag
    texts = [json.dumps(DagSerialization.serialize_dag(one)["tasks"], sort_keys=True) for one in (dag, again)]
    assert texts[0] == texts[1]
    assert "object at 0x" not in texts[0]


def test_a_task_that_is_ended_while_its_function_runs_trains_nothing(
    make_dag: Dag, run_dag: Run, store: Any
) -> None:
    dag = make_dag(
        """
        @task.estimator(estimator="base.yaml", retries=0)
        def train(ti=None):
            ti.task.on_kill()  # as Airflow does it, in a signal handler
            return {}
        train()
        """
    )
    assert run_dag(dag).state == "failed"
    assert store.list_runs() == []
