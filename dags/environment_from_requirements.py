"""### An environment from a requirements file

A script that needs packages which Airflow's own Python doesn't have, in versions of its own. Its source directory holds
a `requirements.txt`, the estimator names it, and the run gets a virtual environment with just that.

The first run builds it, in its phase `build`, and what the builder says is in the task log. All later runs find it, and
so does the second task here although both start at once: what the file says decides, not who asks. On a compute target
of type docker the same file makes an image.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_train import Estimator
from airflow_train.operators import EstimatorOperator

with DAG("environment_from_requirements", schedule=None, doc_md=__doc__, tags=["airflow-train"]) as dag:
    for digits in (30, 60):
        EstimatorOperator(
            task_id=f"train_{digits}",
            estimator=Estimator(
                source_directory="training/precise",
                entry_script="train.py",
                script_params={"--digits": digits},
                pip_requirements_file="requirements.txt",
            ),
        )
