"""`from azureml.core.environment import Environment`."""

from __future__ import annotations

from azureml_run.absent import Environment

__all__ = ["Environment"]
