"""`from azureml.core.dataset import Dataset`."""

from __future__ import annotations

from azureml_run.absent import Dataset
from azureml_run.absent import other_names as __getattr__  # noqa: F401 - PEP 562

__all__ = ["Dataset"]
