"""### Distributed, with mpi4py

Two containers with two processes each: one `mpirun` starts them all, and the script speaks MPI with numpy's arrays. The
containers meet in a network of the run's own; nothing in the image listens, least of all an sshd. The compute target is
any of type docker, the image any with Open MPI 4 or 5 and Python:

    docker build -t airflow-train/mpi docker/mpi

What the ranks print is in the task log while they print it, each line with its rank; `airflow-train runs logs RUN
--rank 3` shows one of them.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_train import Estimator, MpiConfiguration
from airflow_train.operators import DistributedEstimatorOperator

with DAG("distributed_mpi4py", schedule=None, doc_md=__doc__, tags=["airflow-train"]) as dag:
    DistributedEstimatorOperator(
        task_id="train",
        estimator=Estimator(
            source_directory="training/clusters",
            entry_script="train.py",
            compute_target="docker",
            custom_docker_image="airflow-train/mpi",
        ),
        distributed_training=MpiConfiguration(process_count_per_node=2),
        node_count=2,
    )
