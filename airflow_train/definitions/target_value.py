"""The kind of a compute target: a name, or its options in place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_train.definitions.kinds import Kind
from airflow_train.definitions.report import At
from airflow_train.definitions.values import Written
from airflow_train.definitions.words import plain_data


class Target(Kind):
    """A name of `[train] targets`, a known type, or `{type: …, option: …}`."""

    checked = False
    holds_references = True

    def read(self, value: Any, at: At) -> Any:
        if isinstance(value, Mapping):
            return target_options(value, at)
        if not isinstance(value, str):
            return at.wrong(value, "a name or a mapping with type", "write compute_target: local")
        if not value.strip():
            return at.wrong(Written(value, quoted=True), "a name", "leave it out for the configured default")
        return str(value)

    def schema(self) -> dict[str, Any]:
        inline = {"type": "object", "properties": {"type": {"type": "string"}}, "required": ["type"]}
        return {"anyOf": [{"type": "string"}, inline]}


def target_options(value: Mapping[str, Any], at: At) -> Any:
    """The mapping of a target: `type` must be there, the rest is the target's own business."""
    kind = value.get("type")
    if not isinstance(kind, str) or not kind.strip():
        finding = f"{at} has no type" if kind is None else f"{at / 'type'} must be text"
        return at.say(finding, "add type: local or another type of target")
    options = {str(key): plain_data(item, at / str(key)) for key, item in value.items() if key != "type"}
    return {"type": str(kind), **options}
