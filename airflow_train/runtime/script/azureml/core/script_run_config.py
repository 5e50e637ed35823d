"""`from azureml.core.script_run_config import ScriptRunConfig`."""

from __future__ import annotations

from azureml_run.absent import ScriptRunConfig

__all__ = ["ScriptRunConfig"]
