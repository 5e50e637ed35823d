"""The framework estimators: the same as `Estimator`, with the facts of one framework each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from airflow_train.definitions.distributed import (
    BACKENDS,
    AnyDistribution,
    MpiConfiguration,
    PyTorchConfiguration,
)
from airflow_train.definitions.estimator import Estimator, EstimatorBase
from airflow_train.definitions.kinds import Text
from airflow_train.definitions.parameters import param
from airflow_train.definitions.parts import Part

_BACKENDS = {name: BACKENDS[name] for name in ("mpi", "gloo", "nccl")}
_ONE_PROCESS = "scikit-learn trains in one process on one node"
_NO_GPU = "scikit-learn doesn't use GPUs"


def _version() -> Text:
    return Text(allowed='text such as "1.10"', mend="put it in quotes, or 1.10 becomes 1.1")


class PyTorch(Estimator):
    """A PyTorch script, in one process or many (MPI, Gloo or NCCL).

    :raises DefinitionError: on construction, with one sentence for every rule that is broken.
    """

    FRAMEWORK = "PyTorch"

    framework_version: str | None = param(
        _version(), default=None, doc="Version of PyTorch that the script is for; any is accepted."
    )
    distributed_backend: str | None = param(
        Text(choices=tuple(_BACKENDS)), default=None, doc="", deprecated_for="distributed_training"
    )
    distributed_training: AnyDistribution | Mapping[str, Any] | str | None = param(
        Part(MpiConfiguration, PyTorchConfiguration, aliases=_BACKENDS),
        default=None,
        doc="How the processes find each other: MPI or PyTorch.",
    )


class SKLearn(EstimatorBase):
    """A scikit-learn script: one process on one node, without GPU.

    :raises DefinitionError: on construction, with one sentence for every rule that is broken.
    """

    FRAMEWORK = "ScikitLearn"
    ABSENT: ClassVar[Mapping[str, str]] = {
        **EstimatorBase.ABSENT,
        "node_count": _ONE_PROCESS,
        "process_count_per_node": _ONE_PROCESS,
        "distributed_training": _ONE_PROCESS,
        "distributed_backend": _ONE_PROCESS,
        "use_gpu": _NO_GPU,
        "gpu": _NO_GPU,
        "distributed_job_config": _ONE_PROCESS,
        "custom_docker_base_image": "its name is custom_docker_image now; write that",
        "source_directory_data_store": "code travels by content, through the run store",
    }

    framework_version: str | None = param(
        _version(), default=None, doc="Version of scikit-learn that the script is for; any is accepted."
    )
