"""A registered model as an Airflow asset: what a DAG declares, and the event that tells other DAGs.

    DAG(schedule=[Asset("airflow-train://models/digits")])        # each new registration of digits
    DAG(schedule=[AssetAlias("airflow-train://models")])          # those of tasks whose model's name is a template

Cheap: DAG files call `outlets` when they are parsed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: The alias of models whose name is known only when a task runs, and what the URI of every model begins with.
MODELS = "airflow-train://models"
_TEMPLATE = ("{{", "{%")


def outlets(model_name: Any, declared: Any) -> list[Any]:
    """What the task declares: the author's outlets, and the model's asset or, where its name isn't known, the alias."""
    from airflow.sdk import Asset, AssetAlias

    theirs = list(declared) if isinstance(declared, (list, tuple, set)) else [declared] if declared else []
    known = isinstance(model_name, str) and not any(mark in model_name for mark in _TEMPLATE)
    ours = Asset(_uri(model_name)) if known else AssetAlias(MODELS)
    return theirs if _same(ours, theirs) else [*theirs, ours]


def tell(context: Mapping[str, Any], outlets: list[Any], facts: Mapping[str, Any]) -> None:
    """Leave what the event says; Airflow writes it when the task succeeds, and only then.

    :param outlets: the task's.
    :param facts: of the model: `name` and whatever strict JSON holds.
    """
    from airflow.sdk import Asset, AssetAlias

    asset, alias = Asset(_uri(facts["name"])), AssetAlias(MODELS)
    if declared := _same(asset, outlets):
        context["outlet_events"][declared].extra = dict(facts)
    elif alias in outlets:
        context["outlet_events"][alias].add(asset, extra=dict(facts))


def _same(ours: Any, declared: list[Any]) -> Any:
    """The declared one that ours is, or whose URI it has under another name: Airflow refuses two such; None if none."""
    uri = getattr(ours, "uri", None)
    return next((one for one in declared if one == ours or (uri and getattr(one, "uri", None) == uri)), None)


def _uri(model_name: str) -> str:
    return f"{MODELS}/{model_name}"
