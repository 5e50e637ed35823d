"""`from azureml.core.runconfig import RunConfiguration`."""

from __future__ import annotations

from azureml_run.absent import RunConfiguration

__all__ = ["RunConfiguration"]
