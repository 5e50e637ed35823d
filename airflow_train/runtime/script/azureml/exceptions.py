"""Errors that scripts catch by Azure ML's names, in terms of ours."""

from __future__ import annotations

from train_run import NoRun as RunEnvironmentException
from train_run import TrainRunError as AzureMLException
from train_run import TrainRunError as UserErrorException

__all__ = ["AzureMLException", "RunEnvironmentException", "UserErrorException"]


def __getattr__(name: str) -> type:
    if not name.endswith("Exception"):
        raise AttributeError(name)
    return type(name, (AzureMLException,), {"__doc__": "Nothing here raises it."})
