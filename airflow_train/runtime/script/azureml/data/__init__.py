"""`from azureml.data import OutputFileDatasetConfig`."""

from __future__ import annotations

from azureml_run.absent import OutputFileDatasetConfig
from azureml_run.absent import other_names as __getattr__  # noqa: F401 - PEP 562

__all__ = ["OutputFileDatasetConfig"]
