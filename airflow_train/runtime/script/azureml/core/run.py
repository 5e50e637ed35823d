"""`from azureml.core.run import Run`."""

from __future__ import annotations

from azureml_run.run import Run

__all__ = ["Run"]
