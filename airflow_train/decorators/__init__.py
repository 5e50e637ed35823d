"""`@task.estimator`, which Airflow finds by the provider's metadata. Nothing is loaded before a DAG file uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["estimator_task"]

if TYPE_CHECKING:
    from airflow_train.decorators.estimator import estimator_task


def __getattr__(name: str) -> Any:
    if name != "estimator_task":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from airflow_train.decorators.estimator import estimator_task

    return estimator_task


def __dir__() -> list[str]:
    return sorted(__all__)
