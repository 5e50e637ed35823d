"""Registering a model is an asset event: one per success, with what a DAG that waits for models wants to know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Dag = Callable[..., Any]
Run = Callable[..., Any]
Script = Callable[..., str]

WRITES = """
    import os
    from train_run import Run
    Run.get_context().log("accuracy", 0.75)
    Run.get_context().log("diverged", float("nan"))
    os.makedirs("outputs", exist_ok=True)
    open("outputs/m.txt", "w").write("weights")
"""
TRAIN = """
data = {"type": "Estimator", "source_directory": "code", "entry_script": "train.py"}
train = EstimatorOperator(task_id="train", estimator=data, retries=0)
"""
HEADER = "from airflow.sdk import Asset, AssetAlias\n"
REGISTER = """
RegisterModelOperator(task_id="register", run_id=train.output["run_id"], model_path="outputs/m.txt", {more})
"""


@pytest.fixture
def events(airflow_home: Any) -> Callable[[], list[Any]]:
    """Asset events of the newest dag runs: (URI, extra, source task), oldest first; empty before the test."""
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session

    def found() -> list[Any]:
        with create_session() as session:
            rows = session.query(AssetEvent).order_by(AssetEvent.id).all()
            return [(row.uri, row.extra, row.source_task_id) for row in rows]

    before = len(found())
    return lambda: found()[before:]


def test_each_success_is_one_event_that_names_version_run_and_metrics(
    make_dag: Dag, run_dag: Run, script: Script, events: Any
) -> None:
    script(WRITES)
    again = REGISTER.replace('"register"', '"again"').format(more='model_name="m"')
    dag = make_dag(
        TRAIN + "first = " + REGISTER.format(more='model_name="m"').strip() + f"\nfirst >> {again.strip()}",
        HEADER,
    )
    outcome = run_dag(dag)
    assert outcome.state == "success"
    facts = {
        "name": "m",
        "version": 1,
        "run_id": outcome.xcom("train", "run_id"),
        "metrics": {"accuracy": 0.75, "diverged": "NaN"},
    }
    assert events() == [("airflow-train://models/m", facts, task) for task in ("register", "again")]


def test_a_failure_is_no_event(make_dag: Dag, run_dag: Run, script: Script, events: Any) -> None:
    script("print('no model')")
    assert run_dag(make_dag(TRAIN + REGISTER.format(more='model_name="m"'))).state == "failed"
    assert events() == []


def test_a_name_that_is_known_only_when_the_task_runs_goes_through_the_alias(
    make_dag: Dag, run_dag: Run, script: Script, events: Any
) -> None:
    script(WRITES)
    more = 'model_name="{{ dag.dag_id }}-model", outlets=[Asset("theirs")]'
    dag = make_dag(TRAIN + REGISTER.format(more=more), HEADER)
    assert [one.name for one in dag.get_task("register").outlets] == ["theirs", "airflow-train://models"]
    assert run_dag(dag).state == "success"
    found = {uri: extra for uri, extra, _ in events()}
    assert set(found) == {"theirs", f"airflow-train://models/{dag.dag_id}-model"}
    assert found[f"airflow-train://models/{dag.dag_id}-model"]["version"] == 1


def test_an_asset_that_its_author_declares_under_another_name_bears_the_event(
    make_dag: Dag, run_dag: Run, script: Script, events: Any
) -> None:
    script(WRITES)
    more = 'model_name="p", outlets=[Asset(name="mine", uri="airflow-train://models/p")]'
    dag = make_dag(TRAIN + REGISTER.format(more=more), HEADER)
    assert [one.name for one in dag.get_task("register").outlets] == ["mine"]
    assert run_dag(dag).state == "success"
    [(uri, extra, _)] = events()
    assert (uri, extra["version"]) == ("airflow-train://models/p", 1)


@pytest.mark.parametrize("how", ["name", "expanded"])
def test_mapped_tasks_tell_too(make_dag: Dag, run_dag: Run, script: Script, events: Any, how: str) -> None:
    script(WRITES)
    partial = 'model_path="outputs/m.txt", run_id=train.output["run_id"]'
    names = {
        "name": f'partial(task_id="register", model_name="n", {partial}).expand(description=["a"])',
        "expanded": f'partial(task_id="register", {partial}).expand(model_name=["n", "o"])',
    }
    dag = make_dag(TRAIN + f"RegisterModelOperator.{names[how]}", HEADER)
    assert run_dag(dag).state == "success"
    expected = {"name": ["n"], "expanded": ["n", "o"]}[how]
    assert sorted(uri for uri, *_ in events()) == [f"airflow-train://models/{one}" for one in expected]
