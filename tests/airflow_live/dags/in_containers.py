"""Tasks that wait in the triggerer for runs in containers; `host` is the way to the engine that a test watches."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from airflow_train.operators import EstimatorOperator
from airflow_train.sensors import RunSensor

OBEYS = {
    "type": "Estimator",
    "source_directory": "training/obeys",
    "entry_script": "train.py",
    "grace_seconds": 1,
    "compute_target": {
        "type": "docker",
        "image": "airflow-train-test/base",
        "host": "{{ params.host }}",
        "volumes": ["{{ params.marks }}:{{ params.marks }}"],
    },
    "environment_variables": {"MARKS": "{{ params.marks }}", "MANNER": "wait"},
}
FORM = {"marks": Param(type="string"), "host": Param(type="string")}
AT_ONCE = {"retries": 1, "retry_delay": timedelta(0)}

with DAG("waits_in_container", schedule=None, params=FORM):
    EstimatorOperator(task_id="train", estimator=OBEYS, deferrable=True, **AT_ONCE)

with DAG("watches_container", schedule=None, params=FORM):
    submit = EstimatorOperator(task_id="submit", estimator=OBEYS, wait_for_completion=False, **AT_ONCE)
    RunSensor(task_id="wait", run_id=submit.output["run_id"], deferrable=True, **AT_ONCE)
