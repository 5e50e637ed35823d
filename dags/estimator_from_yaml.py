"""### Estimator from YAML

The same as in Python, written in a file that needs none: `estimators/digits.yaml`. Templates work in it too. Paths in
the file count from the file's own folder.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param

from airflow_train.operators import EstimatorOperator

with DAG(
    "estimator_from_yaml",
    schedule=None,
    doc_md=__doc__,
    params={"gamma": Param(0.001, type="number", title="Kernel width (gamma)", exclusiveMinimum=0)},
    tags=["airflow-train"],
) as dag:
    EstimatorOperator(task_id="train", estimator="estimators/digits.yaml")
