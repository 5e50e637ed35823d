"""`RegisterModelOperator`: files of a completed run become a version of a model, once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Dag = Callable[..., Any]
Run = Callable[..., Any]
Script = Callable[..., str]

TRAIN = """
data = {"type": "Estimator", "source_directory": "code", "entry_script": "train.py"}
train = EstimatorOperator(task_id="train", estimator=data, retries=0, MORE)
"""
REGISTER = """
RegisterModelOperator(task_id="register", run_id=train.output["run_id"], model_name="m", model_path="{path}",
    tags={{"dag": "{{{{ dag.dag_id }}}}"}}, retry_delay=timedelta(0))
"""
WRITES = """
    import os
    from train_run import Run
    Run.get_context().log("accuracy", 0.75)
    os.makedirs("outputs", exist_ok=True)
    open("outputs/m.txt", "w").write("weights")
"""


def dag_of(path: str = "outputs/m.txt", more: str = "") -> str:
    return TRAIN.replace("MORE", more) + REGISTER.format(path=path)


def test_the_next_version_bears_the_runs_lineage_and_metrics(
    make_dag: Dag, run_dag: Run, script: Script, store: Any
) -> None:
    from airflow_train import Model

    script(WRITES)
    dag = make_dag(dag_of())
    versions = [run_dag(dag) for _ in range(2)]
    found = [outcome.xcom("register") for outcome in versions]
    assert [one["model_id"] for one in found] == ["m:1", "m:2"]
    assert found[1]["metrics"] == {"accuracy": 0.75}
    assert found[1]["run_id"] == versions[1].xcom("train", "run_id")
    assert versions[1].xcom("register", "version") == 2
    model = Model("m")
    assert (model.version, model.tags) == (2, {"dag": dag.dag_id})


def test_registering_the_same_run_again_finds_the_same_version(
    make_dag: Dag, run_dag: Run, script: Script, store: Any
) -> None:
    script(WRITES)
    again = REGISTER.format(path="outputs/m.txt").replace('"register"', '"again"')
    outcome = run_dag(make_dag(dag_of() + again))
    assert outcome.xcom("register", "model_id") == outcome.xcom("again", "model_id") == "m:1"


def test_a_wrong_path_and_an_unfinished_run_are_refused_at_once(
    make_dag: Dag, run_dag: Run, script: Script, store: Any
) -> None:
    script(WRITES)
    assert run_dag(make_dag(dag_of("outputs/n.txt"))).task("register").try_number == 1
    script("import time; time.sleep(30)")
    outcome = run_dag(make_dag(dag_of(more="wait_for_completion=False")))
    assert outcome.states() == {"train": "success", "register": "failed"}
    assert outcome.task("register").try_number == 1
    from airflow_train import Run as Handle

    handle = Handle(outcome.xcom("train", "run_id"))
    handle.cancel()
    handle.wait_for_completion(raise_on_error=False)
