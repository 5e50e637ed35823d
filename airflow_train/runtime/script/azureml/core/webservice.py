"""`from azureml.core.webservice import Webservice`."""

from __future__ import annotations

from azureml_run.absent import Webservice

__all__ = ["Webservice"]
