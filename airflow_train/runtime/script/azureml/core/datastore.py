"""`from azureml.core.datastore import Datastore`."""

from __future__ import annotations

from azureml_run.absent import Datastore
from azureml_run.absent import other_names as __getattr__  # noqa: F401 - PEP 562

__all__ = ["Datastore"]
