"""JSON schema of definition files, made from the classes' own tables, for editors."""

from __future__ import annotations

from typing import Any

from airflow_train.definitions.definition import SCHEMA, TYPE, Definition
from airflow_train.definitions.distributed import Distribution
from airflow_train.definitions.kinds import any_case
from airflow_train.definitions.loading import RUNNABLE
from airflow_train.definitions.parameters import REQUIRED, Param
from airflow_train.definitions.parts import Part
from airflow_train.definitions.runnable import Runnable

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) of a file: one of the classes that can be run; `$defs` holds every class."""
    classes = _with_parts(list(RUNNABLE.values()))
    return {
        "$schema": _DRAFT,
        "title": "airflow-train definition",
        "type": "object",
        "required": [TYPE],
        "properties": {TYPE: {"anyOf": any_case([cls.__name__ for cls in RUNNABLE.values()])}},
        "allOf": [  # unlike oneOf, this tells an editor which class it is, so that it knows what is wrong
            {
                "if": {"properties": {TYPE: any_case([cls.__name__])[1]}, "required": [TYPE]},
                "then": {"$ref": f"#/$defs/{cls.__name__}"},
            }
            for cls in RUNNABLE.values()
        ],
        "$defs": {cls.__name__: _of_class(cls) for cls in classes},
    }


def _with_parts(classes: list[type[Definition]]) -> list[type[Definition]]:
    """The classes and those that their parameters hold, each once."""
    found: dict[str, type[Definition]] = {}
    waiting = list(classes)
    while waiting:
        cls = waiting.pop(0)
        if found.setdefault(cls.__name__, cls) is cls:
            waiting += [
                part
                for row in cls.PARAMS.values()
                if isinstance(row.kind, Part)
                for part in row.kind.classes
                if part.__name__ not in found
            ]
    return list(found.values())


def _of_class(cls: type[Definition]) -> dict[str, Any]:
    runnable = cls in RUNNABLE.values()
    names = _type_names(cls)
    required = [name for name, row in cls.PARAMS.items() if row.default is REQUIRED]
    starts: dict[str, Any] = {}
    if issubclass(cls, Runnable):
        starts = {"anyOf": [{"required": [name]} for name in cls.STARTS]}
    return {
        "type": "object",
        "description": (cls.__doc__ or "").split("\n")[0],
        "properties": {
            TYPE: {"anyOf": any_case(names), "description": "The class."},
            **({SCHEMA: {"type": "string", "description": "For editors."}} if runnable else {}),
            **{name: _of_param(row) for name, row in cls.PARAMS.items()},
        },
        "required": ([TYPE] if runnable or issubclass(cls, Distribution) else []) + required,
        **starts,
        "additionalProperties": False,
    }


def _type_names(cls: type[Definition]) -> list[str]:
    return list(dict.fromkeys([cls.__name__, *cls.type_names()[1:]]))


def _of_param(row: Param) -> dict[str, Any]:
    """A parameter may always be empty, which means its default."""
    said: dict[str, Any] = {"description": _description(row)}
    if row.default not in (REQUIRED, None):
        said["default"] = row.default
    if not row.kept:
        said["deprecated"] = True
    value = _alone(row.kind) if isinstance(row.kind, Part) else row.kind.schema()
    if not value:
        return said
    if row.default is REQUIRED:
        return {**said, **value}
    options = value["anyOf"] if set(value) == {"anyOf"} else [value]
    return {**said, "anyOf": [*options, {"type": "null"}]}


def _alone(part: Part) -> dict[str, Any]:
    """The schema of a part; where one class fits, its name and what is set beforehand may be left out."""
    said = part.schema()
    if len(part.classes) == 1:
        whole = _of_class(part.classes[0])
        required = [name for name in whole["required"] if name != TYPE and name not in part.preset]
        if required != whole["required"]:
            said = {**whole, "required": required}
    return {"anyOf": [said, *part.also()]} if part.also() else said


def _description(row: Param) -> str:
    if row.deprecated_for:
        return f"Deprecated: write {row.deprecated_for} instead."
    return f"Without effect: {row.meaningless}." if row.meaningless else row.doc
