"""### Train and register

Trains scikit-learn's digits with parameters from the trigger form. When the run has completed, the model that the
script left in `outputs/` becomes the next version of the model *digits*.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param

from airflow_train import SKLearn
from airflow_train.operators import EstimatorOperator, RegisterModelOperator

with DAG(
    "train_and_register",
    schedule=None,
    doc_md=__doc__,
    params={"c": Param(1.0, type="number", title="Regularization (C)", exclusiveMinimum=0)},
    tags=["airflow-train"],
) as dag:
    train = EstimatorOperator(
        task_id="train",
        estimator=SKLearn(
            source_directory="training/digits",
            entry_script="train.py",
            script_params={"--c": "{{ params.c }}"},
            compute_target="local",
        ),
    )
    RegisterModelOperator(
        task_id="register",
        run_id=train.output["run_id"],
        model_name="digits",
        model_path="outputs/model.joblib",
        model_framework="ScikitLearn",
    )
