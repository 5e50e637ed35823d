"""`from azureml.core.conda_dependencies import CondaDependencies`."""

from __future__ import annotations

from azureml_run.absent import CondaDependencies
from azureml_run.absent import other_names as __getattr__  # noqa: F401 - PEP 562

__all__ = ["CondaDependencies"]
