"""Names of Azure ML's deprecated classes of distributions: each gives what replaced it, with a warning.

In a YAML file their words (`mpi`, `gloo`, `nccl`, `ps`, `ParameterServer`) stand for the same.
"""

from __future__ import annotations

import warnings

from airflow_train.definitions.distributed import (
    MpiConfiguration,
    PyTorchConfiguration,
    TensorflowConfiguration,
)


def Mpi(process_count_per_node: int | str = 1) -> MpiConfiguration:  # noqa: N802 - was a class
    """Deprecated: write `MpiConfiguration`."""
    _warn("Mpi", "MpiConfiguration")
    return MpiConfiguration(process_count_per_node)


def Gloo() -> PyTorchConfiguration:  # noqa: N802 - was a class
    """Deprecated: write `PyTorchConfiguration("Gloo")`."""
    _warn("Gloo", 'PyTorchConfiguration("Gloo")')
    return PyTorchConfiguration("Gloo")


def Nccl() -> PyTorchConfiguration:  # noqa: N802 - was a class
    """Deprecated: write `PyTorchConfiguration("Nccl")`."""
    _warn("Nccl", 'PyTorchConfiguration("Nccl")')
    return PyTorchConfiguration("Nccl")


def ParameterServer(  # noqa: N802 - was a class
    worker_count: int | str = 1, parameter_server_count: int | str = 1
) -> TensorflowConfiguration:
    """Deprecated: write `TensorflowConfiguration`."""
    _warn("ParameterServer", "TensorflowConfiguration")
    return TensorflowConfiguration(worker_count, parameter_server_count)


def _warn(old: str, new: str) -> None:
    warnings.warn(f"{old} is deprecated; write {new} instead.", FutureWarning, stacklevel=3)
