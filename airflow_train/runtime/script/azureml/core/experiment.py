"""`from azureml.core.experiment import Experiment`."""

from __future__ import annotations

from azureml_run.run import Experiment

__all__ = ["Experiment"]
