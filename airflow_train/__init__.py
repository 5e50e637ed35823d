"""airflow-train: a training script becomes an Airflow task.

Public names resolve on first use, so that a DAG file pays only for what it names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "Estimator": "definitions",
    "PyTorch": "definitions",
    "TensorFlow": "definitions",
    "Chainer": "definitions",
    "SKLearn": "definitions",
    "ScriptRunConfig": "definitions",
    "Environment": "environments.environment",
    "MpiConfiguration": "definitions",
    "PyTorchConfiguration": "definitions",
    "TensorflowConfiguration": "definitions",
    "ParallelTaskConfiguration": "definitions",
    "Mpi": "definitions",
    "Gloo": "definitions",
    "Nccl": "definitions",
    "ParameterServer": "definitions",
    "ContainerRegistry": "definitions",
    "CondaDependencies": "definitions",
    "RunConfiguration": "definitions",
    "DockerBuildContext": "definitions",
    "DockerConfiguration": "definitions",
    "Experiment": "lifecycle.experiment",
    "Run": "lifecycle.run",
    "Model": "models.model",
}
__all__ = [
    "Chainer",
    "CondaDependencies",
    "ContainerRegistry",
    "DockerBuildContext",
    "DockerConfiguration",
    "Environment",
    "Estimator",
    "Experiment",
    "Gloo",
    "Model",
    "Mpi",
    "MpiConfiguration",
    "Nccl",
    "ParallelTaskConfiguration",
    "ParameterServer",
    "PyTorch",
    "PyTorchConfiguration",
    "Run",
    "RunConfiguration",
    "SKLearn",
    "ScriptRunConfig",
    "TensorFlow",
    "TensorflowConfiguration",
    "__version__",
]

if TYPE_CHECKING:
    from airflow_train.definitions import (
        Chainer,
        CondaDependencies,
        ContainerRegistry,
        DockerBuildContext,
        DockerConfiguration,
        Environment,
        Estimator,
        Gloo,
        Mpi,
        MpiConfiguration,
        Nccl,
        ParallelTaskConfiguration,
        ParameterServer,
        PyTorch,
        PyTorchConfiguration,
        RunConfiguration,
        ScriptRunConfig,
        SKLearn,
        TensorFlow,
        TensorflowConfiguration,
    )
    from airflow_train.lifecycle.experiment import Experiment
    from airflow_train.lifecycle.run import Run
    from airflow_train.models.model import Model


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
