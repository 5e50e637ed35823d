"""`from azureml.data.output_dataset_config import OutputFileDatasetConfig`."""

from __future__ import annotations

from azureml_run.absent import other_names as __getattr__  # noqa: F401 - PEP 562
