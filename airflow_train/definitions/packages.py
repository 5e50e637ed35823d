"""Package lists: the requirements and conda files that environments are read from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_train.definitions.kinds import Kind
from airflow_train.definitions.report import At
from airflow_train.definitions.requirement_lines import PipLines, conda_problem, included
from airflow_train.definitions.values import is_deferred, nearest

CONDA_KEYS = ("name", "channels", "dependencies", "prefix", "variables")


class CondaFile(Kind):
    """What a conda file holds, as a mapping; packages are kept as they are written."""

    holds_references = True

    def read(self, value: Any, at: At) -> Any:
        if not isinstance(value, Mapping):
            return at.wrong(
                value, "a mapping as in a conda file", "write dependencies: [python=3.11, {pip: [numpy]}]"
            )
        for key in value:
            if key not in CONDA_KEYS:
                close = nearest(key, CONDA_KEYS)
                mend = f"did you mean {close}?" if close else f"allowed are {', '.join(CONDA_KEYS)}"
                (at / str(key)).say(f"{key} is no key of a conda file", mend)
        if value.get("variables"):
            here = at / "variables"
            here.say(f"{here} of a conda file don't reach the script", "write them in environment_variables")
        if value.get("prefix"):
            here = at / "prefix"
            here.note(UserWarning, f"{here} has no effect: the compute target decides where packages go.")
        read = {
            key: self._list(value[key], at / key)
            for key in ("channels", "dependencies")
            if value.get(key) is not None
        }
        return {key: items for key, items in read.items() if items}

    def _list(self, value: Any, at: At) -> list[Any]:
        if not isinstance(value, (list, tuple)):
            at.wrong(value, "a list", "write [python=3.11, numpy]")
            return []
        return [self._item(item, at / number) for number, item in enumerate(value)]

    def _item(self, item: Any, at: At) -> Any:
        if isinstance(item, Mapping) and set(item) == {"pip"} and at.path[-2] == "dependencies":
            here = At(at.report, (*at.path, "pip"))
            return {"pip": PipLines().read(item["pip"], here) or []}
        if not isinstance(item, str) or not item.strip():
            return item if is_deferred(item) else at.wrong(item, "text or {pip: [...]}", "write name=version")
        wrong = conda_problem(item)
        return str(item) if wrong is None else at.say(wrong.of(at), wrong.mend)

    def schema(self) -> dict[str, Any]:
        text = {"type": "string"}
        pip = {
            "type": "object",
            "properties": {"pip": {"type": "array", "items": text}},
            "required": ["pip"],
            "additionalProperties": False,
        }
        return {
            "type": "object",
            "properties": {
                "name": text,
                "channels": {"type": "array", "items": text},
                "dependencies": {"type": "array", "items": {"anyOf": [text, pip]}},
                "prefix": {**text, "deprecated": True},
                "variables": {"type": "object", "maxProperties": 0},
            },
            "additionalProperties": False,
        }


def conda_file(path: Path) -> dict[str, Any]:
    """What a conda file holds.

    :raises DefinitionError: it can't be read or isn't one.
    """
    from airflow_train.definitions.report import Report
    from airflow_train.definitions.yaml_file import parsed

    document = parsed(path, begin="dependencies: [python=3.12]")
    report = Report(str(path), document.lines)
    read = CondaFile().read(_with_includes(document.data, path), At(report))
    report.finish(stacklevel=3)
    return read or {}


def _with_includes(data: Any, path: Path) -> Any:
    """A conda file's data with what its lines for pip include, relative to it, in their place."""
    packages = data.get("dependencies") if isinstance(data, Mapping) else None
    if not isinstance(packages, list):
        return data
    whole: list[Any] = []
    for one in packages:
        lines = one.get("pip") if isinstance(one, Mapping) else None
        if isinstance(lines, list) and set(one) == {"pip"}:
            one = {"pip": [line for each in lines for line in included(each, path)]}
        whole.append(one)
    return {**data, "dependencies": whole}
