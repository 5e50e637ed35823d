"""Package lists: the requirements and conda files that environments are read from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_train.definitions.kinds import Kind
from airflow_train.definitions.report import At
from airflow_train.definitions.text_file import text_of_file
from airflow_train.definitions.values import is_deferred, nearest
from airflow_train.exceptions import DefinitionError

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
            pip = item["pip"]
            return {"pip": self._list(pip, At(at.report, (*at.path, "pip")))}
        if not isinstance(item, str) or not item.strip():
            return item if is_deferred(item) else at.wrong(item, "text or {pip: [...]}", "write name=version")
        return str(item)

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


def requirements_file(path: Path) -> list[str]:
    """Lines of a requirements file, without comments.

    :raises DefinitionError: it can't be read, or a line includes another file.
    """
    text = text_of_file(path, "a requirements file")
    lines: list[str] = []
    for number, raw in enumerate(text.replace("\\\n", " ").splitlines(), start=1):
        line = raw.split(" #")[0].strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith(("-r", "-c", "--requirement", "--constraint", "-e", "--editable")):
            raise DefinitionError(
                f"{path}:{number}: {line} refers to another file, which doesn't travel; write the packages themselves."
            )
        lines.append(line)
    return lines


def conda_file(path: Path) -> dict[str, Any]:
    """What a conda file holds.

    :raises DefinitionError: it can't be read or isn't one.
    """
    from airflow_train.definitions.report import Report
    from airflow_train.definitions.yaml_file import parsed

    document = parsed(path)
    report = Report(str(path), document.lines)
    read = CondaFile().read(document.data, At(report))
    report.finish(stacklevel=3)
    return read or {}
