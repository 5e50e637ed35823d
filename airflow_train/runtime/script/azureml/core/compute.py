"""`from azureml.core.compute import ComputeTarget`."""

from __future__ import annotations

from azureml_run.absent import ComputeTarget
from azureml_run.absent import other_names as __getattr__  # noqa: F401 - PEP 562

__all__ = ["ComputeTarget"]
