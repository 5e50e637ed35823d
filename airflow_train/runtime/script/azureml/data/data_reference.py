"""`from azureml.data.data_reference import DataReference`."""

from __future__ import annotations

from azureml_run.absent import DataReference

__all__ = ["DataReference"]
