"""What scripts import from `azureml.core`: `Run` works, the others can be imported and say what isn't there."""

from __future__ import annotations

from azureml_run.absent import (
    ComputeTarget,
    Dataset,
    Datastore,
    Environment,
    Image,
    Keyvault,
    Model,
    RunConfiguration,
    ScriptRunConfig,
    Webservice,
    Workspace,
)
from azureml_run.absent import other_names as __getattr__  # noqa: F401 - PEP 562
from azureml_run.run import Experiment, Run

__all__ = [
    "ComputeTarget",
    "Dataset",
    "Datastore",
    "Environment",
    "Experiment",
    "Image",
    "Keyvault",
    "Model",
    "Run",
    "RunConfiguration",
    "ScriptRunConfig",
    "Webservice",
    "Workspace",
]

VERSION = __version__ = "0.0.0+airflow-train"
