"""Triggers: what waits in the triggerer for tasks that are deferred. Names resolve on first use.

Airflow's database holds the path of a trigger's class and its arguments across upgrades: `airflow_train.triggers.run`
stays where it is, and its arguments keep their names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["RunTrigger"]

if TYPE_CHECKING:
    from airflow_train.triggers.run import RunTrigger


def __getattr__(name: str) -> Any:
    if name != "RunTrigger":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from airflow_train.triggers.run import RunTrigger

    return RunTrigger


def __dir__() -> list[str]:
    return sorted(__all__)
