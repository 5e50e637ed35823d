"""`from azureml.core.conda_dependencies import CondaDependencies`."""

from __future__ import annotations

from azureml_run.absent import CondaDependencies

__all__ = ["CondaDependencies"]
