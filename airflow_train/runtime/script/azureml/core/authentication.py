"""Logins, which nothing here asks for."""

from __future__ import annotations

from azureml_run.absent import (
    AzureCliAuthentication,
    InteractiveLoginAuthentication,
    MsiAuthentication,
    ServicePrincipalAuthentication,
)
from azureml_run.absent import other_names as __getattr__  # noqa: F401 - PEP 562

__all__ = [
    "AzureCliAuthentication",
    "InteractiveLoginAuthentication",
    "MsiAuthentication",
    "ServicePrincipalAuthentication",
]
