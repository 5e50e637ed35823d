"""Definitions: what to run, as plain data that is checked when it is built. No I/O but for the files that say them.

definition, parameters, filling, parts      what every class is made of: one table of parameters per class
kinds, sizes, lists, words, packages      what parameters may hold, by the same rules in Python, YAML and templates
estimator, frameworks, script_run, distributed      the classes; `runnable` is what those that run share
environment, docker_section, environment_folder, registered      what is around a script
requirement_lines, conda_dependencies      lines for pip, conda files
run_configuration, runconfig_*, own_run_config, run_sections      run configurations
old_names                          deprecated names of the classes of distributions
loading, yaml_file                 objects, data and files → definitions, with every problem and its line
files                              checks that touch the source directory
targets_file, target_value         compute targets by name, or in place
job                                what any definition comes to, for the rooms above
schema                             JSON schema for editors
"""

from __future__ import annotations

from typing import Any

from airflow_train.definitions.conda_dependencies import CondaDependencies
from airflow_train.definitions.definition import Definition
from airflow_train.definitions.distributed import (
    MpiConfiguration,
    ParallelTaskConfiguration,
    PyTorchConfiguration,
    TensorflowConfiguration,
)
from airflow_train.definitions.docker_section import (
    ContainerRegistry,
    DockerBuildContext,
    DockerConfiguration,
)
from airflow_train.definitions.environment import Environment
from airflow_train.definitions.estimator import Estimator
from airflow_train.definitions.files import check_files
from airflow_train.definitions.frameworks import Chainer, PyTorch, SKLearn, TensorFlow
from airflow_train.definitions.job import Job
from airflow_train.definitions.loading import as_plain, from_document, load
from airflow_train.definitions.old_names import Gloo, Mpi, Nccl, ParameterServer
from airflow_train.definitions.run_configuration import RunConfiguration
from airflow_train.definitions.runnable import Runnable
from airflow_train.definitions.script_run import ScriptRunConfig
from airflow_train.definitions.targets_file import named_targets, resolve_compute_target

__all__ = [
    "Chainer",
    "CondaDependencies",
    "ContainerRegistry",
    "Definition",
    "DockerBuildContext",
    "DockerConfiguration",
    "Environment",
    "Estimator",
    "Gloo",
    "Job",
    "Mpi",
    "MpiConfiguration",
    "Nccl",
    "ParallelTaskConfiguration",
    "ParameterServer",
    "PyTorch",
    "PyTorchConfiguration",
    "RunConfiguration",
    "Runnable",
    "SKLearn",
    "ScriptRunConfig",
    "TensorFlow",
    "TensorflowConfiguration",
    "as_plain",
    "check_files",
    "from_document",
    "json_schema",
    "load",
    "named_targets",
    "resolve_compute_target",
]


def json_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of a definition file, for editors."""
    from airflow_train.definitions import schema

    return schema.json_schema()
