"""### Distributed, with Horovod

A PyTorch network learns handwritten digits on two nodes with two processes each. Horovod averages the gradients of all
four by MPI; rank 0 logs the metrics and leaves the model, which becomes the next version of *digits_horovod*.

    docker build -t airflow-train/horovod docker/horovod
"""

from __future__ import annotations

from airflow.sdk import DAG, Param

from airflow_train import MpiConfiguration, PyTorch
from airflow_train.operators import DistributedEstimatorOperator, RegisterModelOperator

with DAG(
    "distributed_horovod",
    schedule=None,
    doc_md=__doc__,
    params={"epochs": Param(15, type="integer", minimum=1)},
    tags=["airflow-train"],
) as dag:
    train = DistributedEstimatorOperator(
        task_id="train",
        estimator=PyTorch(
            source_directory="training/digits_horovod",
            entry_script="train.py",
            script_params={"--epochs": "{{ params.epochs }}"},
            compute_target="docker",
            custom_docker_image="airflow-train/horovod",
        ),
        distributed_training=MpiConfiguration(process_count_per_node=2),
        node_count=2,
    )
    RegisterModelOperator(
        task_id="register",
        run_id=train.output["run_id"],
        model_name="digits_horovod",
        model_path="outputs/model.pt",
        model_framework="PyTorch",
    )
