"""`from azureml.core.keyvault import Keyvault`."""

from __future__ import annotations

from azureml_run.absent import Keyvault

__all__ = ["Keyvault"]
