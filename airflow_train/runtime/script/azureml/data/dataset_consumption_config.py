"""`from azureml.data.dataset_consumption_config import DatasetConsumptionConfig`."""

from __future__ import annotations

from azureml_run.absent import other_names as __getattr__  # noqa: F401 - PEP 562
