"""### Train in Docker

An estimator in a container: `compute_target="docker"`, and nothing else changes. Code goes in and outputs come back by
the engine's API, so nothing is mounted, and the engine may be on another machine. While the container trains, the task
is deferred and holds no worker.

The image is any that has Python 3.8 or later, here the one that the compute target names, in
`$AIRFLOW_HOME/train_targets.yaml`:

    docker:
      type: docker
      image: python:3.12-slim
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_train import Estimator
from airflow_train.operators import EstimatorOperator

with DAG("train_in_docker", schedule=None, doc_md=__doc__, tags=["airflow-train"]) as dag:
    EstimatorOperator(
        task_id="train",
        estimator=Estimator(
            source_directory="training/pi",
            entry_script="train.py",
            memory="256Mi",
            compute_target="docker",
        ),
        deferrable=True,
    )
