"""`from azureml.core.workspace import Workspace`."""

from __future__ import annotations

from azureml_run.absent import Workspace
from azureml_run.absent import other_names as __getattr__  # noqa: F401 - PEP 562

__all__ = ["Workspace"]
