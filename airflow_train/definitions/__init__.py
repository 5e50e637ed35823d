"""Definitions: what to train, where and with what, as plain data that is checked when it is built.

A class lists its parameters once (`definition.py`); constructor, checks, `to_dict`, YAML reading and the JSON schema all
follow from that table. Reading touches no target and no clock; `check_files` is the one that looks at the disk.

To add a parameter: one `param(...)` line in its class. To add a class: subclass `Definition` or `Runnable`, and name it in
`loading.py`. To add a kind of value: subclass `Kind` (`kinds.py` single values, `lists.py` several, `parts.py` definitions).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_train.definitions.definition import Definition
from airflow_train.definitions.distributed import (
    MpiConfiguration,
    PyTorchConfiguration,
    TensorflowConfiguration,
)
from airflow_train.definitions.environment import ContainerRegistry, DockerConfiguration, Environment
from airflow_train.definitions.estimator import Estimator
from airflow_train.definitions.frameworks import PyTorch, SKLearn
from airflow_train.definitions.job import Job
from airflow_train.definitions.loading import as_plain, load
from airflow_train.definitions.runnable import Runnable
from airflow_train.definitions.script_run import ScriptRunConfig

if TYPE_CHECKING:
    from airflow_train.definitions.files import check_files
    from airflow_train.definitions.schema import json_schema
    from airflow_train.definitions.targets_file import named_targets, resolve_compute_target, targets_path

#: Names that are needed only when something runs, and where they are.
_LATER = {
    "check_files": "files",
    "json_schema": "schema",
    "named_targets": "targets_file",
    "resolve_compute_target": "targets_file",
    "targets_path": "targets_file",
}

__all__ = [
    "ContainerRegistry",
    "Definition",
    "DockerConfiguration",
    "Environment",
    "Estimator",
    "Job",
    "MpiConfiguration",
    "PyTorch",
    "PyTorchConfiguration",
    "Runnable",
    "SKLearn",
    "ScriptRunConfig",
    "TensorflowConfiguration",
    "as_plain",
    "check_files",
    "json_schema",
    "load",
    "named_targets",
    "resolve_compute_target",
    "targets_path",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
