"""### Train in Docker

The DAG of the README with one word changed: `compute_target` is *docker*. Code goes in and outputs come back by the
engine's API, so nothing is mounted, and the engine may be on another machine.

The image is any with Python 3.8 or later and what the script imports, here the one that the compute target names in
`$AIRFLOW_HOME/train_targets.yaml`:

    docker:
      type: docker
      image: airflow-train/sklearn   # docker build -t airflow-train/sklearn docker/sklearn

With `deferrable=True`, or `[operators] default_deferrable`, the task holds no worker while the container trains.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_train import SKLearn
from airflow_train.operators import EstimatorOperator, RegisterModelOperator

with DAG("train_in_docker", schedule=None, doc_md=__doc__, tags=["airflow-train"]) as dag:
    train = EstimatorOperator(
        task_id="train",
        estimator=SKLearn(
            source_directory="training/digits",
            entry_script="train.py",
            script_params={"--c": 10},
            compute_target="docker",
        ),
    )
    RegisterModelOperator(
        task_id="register",
        run_id=train.output["run_id"],
        model_name="digits",
        model_path="outputs/model.joblib",
    )
