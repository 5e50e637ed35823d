"""### MPI on one machine

Two nodes with two processes each, as a cluster would have them, emulated on the machine of the worker: one real
`mpirun` starts the ranks, and each sees rank, local rank and sizes as there. Needs Open MPI: `apt-get install
openmpi-bin`, or `pip install 'airflow-train[mpi]'`.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_train import Estimator, MpiConfiguration
from airflow_train.operators import DistributedEstimatorOperator

with DAG("mpi_on_one_machine", schedule=None, doc_md=__doc__, tags=["airflow-train"]) as dag:
    DistributedEstimatorOperator(
        task_id="train",
        estimator=Estimator(source_directory="training/pi", entry_script="train.py"),
        distributed_training=MpiConfiguration(),
        node_count=2,
        process_count_per_node=2,
    )
