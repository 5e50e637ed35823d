"""`from azureml.core.run import Run`, and the classes that scripts compare its kind with."""

from __future__ import annotations

from azureml_run.run import Run, _OfflineRun, _SubmittedRun

__all__ = ["Run", "_OfflineRun", "_SubmittedRun"]
