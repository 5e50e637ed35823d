"""The framework estimators: the same as `Estimator`, with the facts of one framework each."""

from __future__ import annotations

from airflow_train.definitions.definition import param
from airflow_train.definitions.estimator import Estimator, EstimatorBase
from airflow_train.definitions.kinds import Text

_ONE_PROCESS = "scikit-learn trains in one process on one node"
_NO_GPU = "scikit-learn doesn't use GPUs"


class PyTorch(Estimator):
    """A PyTorch script, in one process or many (MPI, Gloo or NCCL).

    :raises DefinitionError: on construction, with one sentence for every rule that is broken.
    """

    FRAMEWORK = "PyTorch"
    BACKENDS = ("mpi", "gloo", "nccl")

    framework_version: str | None = param(
        Text(),
        default=None,
        doc="Version of PyTorch that the script is for, in quotes in YAML if you like; any is accepted.",
    )


class SKLearn(EstimatorBase):
    """A scikit-learn script: one process on one node, without GPU.

    :raises DefinitionError: on construction, with one sentence for every rule that is broken.
    """

    FRAMEWORK = "ScikitLearn"
    ABSENT = {
        "node_count": _ONE_PROCESS,
        "process_count_per_node": _ONE_PROCESS,
        "distributed_training": _ONE_PROCESS,
        "distributed_backend": _ONE_PROCESS,
        "use_gpu": _NO_GPU,
        "gpu": _NO_GPU,
    }

    framework_version: str | None = param(
        Text(), default=None, doc="Version of scikit-learn that the script is for; any is accepted."
    )
