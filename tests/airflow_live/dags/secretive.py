"""DAGs whose script shows its secrets; `test_secrets.py` looks where they turn up."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_train.operators import EstimatorOperator

SHOWS = {
    "type": "Estimator",
    "source_directory": "training/shows_secrets",
    "entry_script": "train.py",
    "secrets": {"PASSWORD": "connection:secretive/password", "KEY": "variable:secretive"},
}

with DAG("secretive", schedule=None):
    EstimatorOperator(task_id="completes", estimator=SHOWS, retries=0)
    EstimatorOperator(task_id="fails", estimator={**SHOWS, "script_params": {"--fail": None}}, retries=0)
    EstimatorOperator(
        task_id="tells",
        estimator={**SHOWS, "script_params": {"--login": "{{ conn.secretive.password }}"}},
        retries=0,
    )
