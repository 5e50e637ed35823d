"""`from azureml.core.script_run_config import ScriptRunConfig`."""

from __future__ import annotations

from azureml_run.absent import ScriptRunConfig
from azureml_run.absent import other_names as __getattr__  # noqa: F401 - PEP 562

__all__ = ["ScriptRunConfig"]
