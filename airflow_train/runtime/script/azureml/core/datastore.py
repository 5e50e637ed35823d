"""`from azureml.core.datastore import Datastore`."""

from __future__ import annotations

from azureml_run.absent import Datastore

__all__ = ["Datastore"]
