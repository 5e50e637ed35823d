"""### Distributed, with PyTorch

Two nodes with two processes each, which DistributedDataParallel keeps alike: the variables by which `torch.distributed`
finds the others are there, so the script says `init_process_group("gloo")` and no more. It learns to guess the next
character of a text that every Python brings; the model of rank 0 becomes the next version of *characters*.

    docker build -t airflow-train/pytorch docker/pytorch

With GPUs: an image with PyTorch for CUDA, `gpu=2` for the two processes of each node, *Nccl* in place of *Gloo*, and a
script that takes model and batches to its GPU.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_train import PyTorch, PyTorchConfiguration
from airflow_train.operators import DistributedEstimatorOperator, RegisterModelOperator

with DAG("distributed_pytorch", schedule=None, doc_md=__doc__, tags=["airflow-train"]) as dag:
    train = DistributedEstimatorOperator(
        task_id="train",
        estimator=PyTorch(
            source_directory="training/characters",
            entry_script="train.py",
            compute_target="docker",
            custom_docker_image="airflow-train/pytorch",
        ),
        distributed_training=PyTorchConfiguration("Gloo"),
        node_count=2,
        process_count_per_node=2,
    )
    RegisterModelOperator(
        task_id="register",
        run_id=train.output["run_id"],
        model_name="characters",
        model_path="outputs/model.pt",
        model_framework="PyTorch",
    )
