"""Compute targets: where a run's processes live. One folder per target, with the same file names in each.

`base` is the contract, `bundle` the runtime as it travels. Targets are found by type: ours in a table, those of third
parties by the entry point group `airflow_train.targets` (type name → class). Nothing is imported before it is used.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib import import_module, metadata
from typing import Any

from airflow_train.exceptions import ConfigurationError, UnsupportedByTarget
from airflow_train.targets.base import Target

_OURS = {
    "docker": "airflow_train.targets.docker.target:DockerTarget",
    "local": "airflow_train.targets.local.target:LocalTarget",
}
#: Types that the definitions know by name before a target for them exists.
_ANNOUNCED = ("kubernetes",)


def types() -> list[str]:
    """Types of target that can be used here."""
    return sorted({*_OURS, *(one.name for one in metadata.entry_points(group="airflow_train.targets"))})


def get(resolved: Mapping[str, Any]) -> Target:
    """The target of a resolved `compute_target`: a mapping with `name`, `type` and `options`.

    :raises UnsupportedByTarget: the type is known but can't run anything yet.
    :raises ConfigurationError: the type is unknown, or its package can't be imported, or an option is wrong.
    """
    kind = str(resolved["type"])
    place = _OURS.get(kind)
    if place is None:
        entries = {one.name: one.value for one in metadata.entry_points(group="airflow_train.targets")}
        place = entries.get(kind)
    if place is None and kind in _ANNOUNCED:
        raise UnsupportedByTarget(
            f"compute_target {resolved['name']!r} is of type {kind}, which this version can't run yet; use local."
        )
    if place is None:
        near = difflib.get_close_matches(kind, types(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"types that work here: {', '.join(types())}."
        raise ConfigurationError(f"compute_target {resolved['name']!r} has the unknown type {kind!r}; {hint}")
    module, _, name = place.partition(":")
    try:
        target_class = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"the compute target type {kind} is registered as {place}, which can't be imported ({error}); "
            "repair or remove the package that registers it."
        ) from error
    target: Target = target_class(str(resolved["name"]), dict(resolved.get("options") or {}))
    return target
