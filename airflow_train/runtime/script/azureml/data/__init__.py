"""`from azureml.data import OutputFileDatasetConfig`."""

from __future__ import annotations

from azureml_run.absent import OutputFileDatasetConfig

__all__ = ["OutputFileDatasetConfig"]
