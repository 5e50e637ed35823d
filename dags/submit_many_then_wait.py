"""### Submit many, then wait

One task per learning rate starts a run and is done at once; sensors wait for the runs without holding worker slots
(`mode="reschedule"`), and the last task picks the best. Ending a sensor by hand while it pokes ends its run.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from airflow_train.operators import EstimatorOperator
from airflow_train.sensors import RunSensor

RATES = [0.01, 0.1, 0.3]


@task
def best(runs: list[dict[str, Any]]) -> str:
    """Name the run with the smallest loss."""
    winner = min(runs, key=lambda run: run["metrics"]["loss"])
    print(f"Best: {winner['run_id']} with {winner['metrics']}")
    return winner["run_id"]


with DAG("submit_many_then_wait", schedule=None, doc_md=__doc__, tags=["airflow-train"]) as dag:
    submit = EstimatorOperator.partial(task_id="submit", wait_for_completion=False).expand(
        estimator=[
            {"type": "Estimator", "source_directory": "training/search", "entry_script": "train.py",
             "script_params": {"--rate": rate}}
            for rate in RATES
        ]
    )  # fmt: skip
    wait = RunSensor.partial(task_id="wait", mode="reschedule", poke_interval=1).expand(
        run_id=submit.output.map(lambda run: run["run_id"])
    )
    best(wait.output)
