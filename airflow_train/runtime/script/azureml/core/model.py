"""`from azureml.core.model import Model`: registering is `run.register_model`."""

from __future__ import annotations

from azureml_run.absent import Model

__all__ = ["Model"]
