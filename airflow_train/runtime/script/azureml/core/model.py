"""`from azureml.core.model import Model`: registering is `run.register_model`."""

from __future__ import annotations

from azureml_run.absent import Model
from azureml_run.absent import other_names as __getattr__  # noqa: F401 - PEP 562

__all__ = ["Model"]
