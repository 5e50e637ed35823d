"""`from azureml.core.dataset import Dataset`."""

from __future__ import annotations

from azureml_run.absent import Dataset

__all__ = ["Dataset"]
