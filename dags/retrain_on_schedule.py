"""### Retrain on schedule

Every night the model is trained again; run and model say by a tag which day's data they are from. A training that fails
registers nothing, so the newest version stays the old one. Nights that were missed aren't made up for, and a training
that takes longer than a day isn't overtaken by the next.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, CronDataIntervalTimetable, Param

from airflow_train import SKLearn
from airflow_train.operators import EstimatorOperator, RegisterModelOperator

# the interval of a scheduled DAG run; one that is started by hand has none
DATA = {"data": "{{ (dag_run.data_interval_start or dag_run.run_after) | ds }}"}

with DAG(
    "retrain_on_schedule",
    schedule=CronDataIntervalTimetable("0 3 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    doc_md=__doc__,
    params={"c": Param(10.0, type="number", title="Regularization (C)", exclusiveMinimum=0)},
    tags=["airflow-train"],
) as dag:
    train = EstimatorOperator(
        task_id="train",
        estimator=SKLearn(
            source_directory="training/digits",
            entry_script="train.py",
            script_params={"--c": "{{ params.c }}"},
        ),
        tags=DATA,
    )
    RegisterModelOperator(
        task_id="register",
        run_id=train.output["run_id"],
        model_name="digits",
        model_path="outputs/model.joblib",
        tags=DATA,
    )
