"""The kind of `compute_target`: a name, or a type with its options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_train.definitions.kinds import Kind
from airflow_train.definitions.lists import plain_data
from airflow_train.definitions.report import At
from airflow_train.definitions.values import Written, is_deferred


class ComputeTarget(Kind):
    """A target's name, or `{type: local, …}`. Whether there is such a target is asked when it is needed."""

    holds_references = True

    def read(self, value: Any, at: At) -> Any:
        if isinstance(value, str):
            if not value.strip():
                at.wrong(Written(value, quoted=True), "the name of a target", "leave it out for the default")
                return None
            return str(value)
        if not isinstance(value, Mapping):
            return at.wrong(
                value, "the name of a target or a mapping with type", "write compute_target: local"
            )
        kind = value.get("type")
        if not isinstance(kind, str) and not is_deferred(kind):
            (at / "type").say(
                f"{at} names no type of target", "write it as {type: local} with its options beside it"
            )
            return None
        return {
            "type": str(kind) if isinstance(kind, str) else kind,
            **{str(key): plain_data(item, at / str(key)) for key, item in value.items() if key != "type"},
        }

    def schema(self) -> dict[str, Any]:
        return {
            "anyOf": [
                {"type": "string"},
                {"type": "object", "properties": {"type": {"type": "string"}}, "required": ["type"]},
            ]
        }
