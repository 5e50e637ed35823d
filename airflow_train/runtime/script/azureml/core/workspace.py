"""`from azureml.core.workspace import Workspace`."""

from __future__ import annotations

from azureml_run.absent import Workspace

__all__ = ["Workspace"]
