"""Sensors: wait for runs that other tasks or people have started. Cheap to import; names resolve on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["RunSensor"]

if TYPE_CHECKING:
    from airflow_train.sensors.run import RunSensor


def __getattr__(name: str) -> Any:
    if name != "RunSensor":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from airflow_train.sensors.run import RunSensor

    return RunSensor


def __dir__() -> list[str]:
    return sorted(__all__)
