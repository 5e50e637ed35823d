"""A task in a container of an engine that a connection leads to; `test_docker_connection.py` makes the connection."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_train.operators import EstimatorOperator

SLEEPS = {
    "type": "ScriptRunConfig",
    "source_directory": "training/obeys",
    "command": ["python3", "-c", "import time; time.sleep(5); open('outputs/kept', 'w').write('yes')"],
    "compute_target": {"type": "docker", "image": "airflow-train-test/base", "connection": "remote_engine"},
}

with DAG("contained", schedule=None):
    EstimatorOperator(task_id="train", estimator=SLEEPS, deferrable=True, retries=0)
