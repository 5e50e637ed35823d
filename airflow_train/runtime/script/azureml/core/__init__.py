"""What scripts import from `azureml.core`: `Run` works, the others can be imported and say what isn't there."""

from __future__ import annotations

from azureml_run.absent import (
    ComputeTarget,
    Dataset,
    Datastore,
    Environment,
    Keyvault,
    Model,
    RunConfiguration,
    ScriptRunConfig,
    Webservice,
    Workspace,
)
from azureml_run.run import Experiment, Run

__all__ = [
    "ComputeTarget",
    "Dataset",
    "Datastore",
    "Environment",
    "Experiment",
    "Keyvault",
    "Model",
    "Run",
    "RunConfiguration",
    "ScriptRunConfig",
    "Webservice",
    "Workspace",
]

VERSION = "0.0.0+airflow-train"
