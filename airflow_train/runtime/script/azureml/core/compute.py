"""`from azureml.core.compute import ComputeTarget`."""

from __future__ import annotations

from azureml_run.absent import ComputeTarget

__all__ = ["ComputeTarget"]
