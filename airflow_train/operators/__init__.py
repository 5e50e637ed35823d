"""Operators: a run, and a model's registration, as Airflow tasks. Cheap to import; names resolve on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

_HOMES = {
    "DistributedEstimatorOperator": "distributed",
    "EstimatorOperator": "estimator",
    "RegisterModelOperator": "register_model",
}
__all__ = ["DistributedEstimatorOperator", "EstimatorOperator", "RegisterModelOperator"]

if TYPE_CHECKING:
    from airflow_train.operators.distributed import DistributedEstimatorOperator
    from airflow_train.operators.estimator import EstimatorOperator
    from airflow_train.operators.register_model import RegisterModelOperator


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
