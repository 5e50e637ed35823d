"""An operator that waits in the triggerer, on the target that `tests/airflow/detached.py` installs."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from airflow_train.operators import EstimatorOperator

OBEYS = {
    "type": "Estimator",
    "source_directory": "training/obeys",
    "entry_script": "train.py",
    "grace_seconds": 1,
    "compute_target": "detached",
    "environment_variables": {"MARKS": "{{ params.marks }}", "MANNER": "wait"},
}

with DAG("deferred_operator", schedule=None, params={"marks": Param(type="string")}):
    EstimatorOperator(task_id="train", estimator=OBEYS, deferrable=True, retries=1, retry_delay=timedelta(0))
