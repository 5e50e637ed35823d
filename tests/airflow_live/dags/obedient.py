"""DAGs whose script does what the trigger form says; see `training/obeys`."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param, task

from airflow_train.operators import EstimatorOperator
from airflow_train.sensors import RunSensor

OBEYS = {
    "type": "Estimator",
    "source_directory": "training/obeys",
    "entry_script": "train.py",
    "grace_seconds": 1,
}
FORM = {"marks": Param(type="string"), "manner": Param("end", enum=["end", "fail", "wait"])}
AT_ONCE = {"retries": 1, "retry_delay": timedelta(0)}


def obeys(marks: str = "{{ params.marks }}", manner: str = "{{ params.manner }}") -> dict[str, object]:
    """The estimator as plain data."""
    return {**OBEYS, "environment_variables": {"MARKS": marks, "MANNER": manner}}


with DAG("one_task", schedule=None, params=FORM):
    EstimatorOperator(task_id="train", estimator=obeys(), **AT_ONCE)

with DAG("deferred_sensor", schedule=None, params=FORM):
    submit = EstimatorOperator(task_id="submit", estimator=obeys(), wait_for_completion=False, **AT_ONCE)
    RunSensor(task_id="wait", run_id=submit.output["run_id"], deferrable=True, **AT_ONCE)

with DAG("mapped_tasks", schedule=None, params=FORM):

    @task
    def manners(params: dict[str, str]) -> list[dict[str, object]]:
        """Known only when the DAG runs; one of them fails."""
        return [obeys(params["marks"], manner) for manner in ("end", "fail", "end")]

    EstimatorOperator.partial(task_id="train", retries=0).expand(estimator=manners())
