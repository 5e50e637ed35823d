"""The JSON schema (draft 2020-12) of definition files, for editors; made of the classes' own tables."""

from __future__ import annotations

from typing import Any

from airflow_train.definitions.definition import REQUIRED, Definition, Param
from airflow_train.definitions.environment import DockerSection, PythonSection
from airflow_train.definitions.loading import PARTS, RUNNABLE

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """The schema of a file that holds one definition."""
    classes: dict[str, type[Definition]] = {**RUNNABLE, **PARTS}
    sections: tuple[type[Definition], ...] = (PythonSection, DockerSection)
    classes.update((cls.__name__, cls) for cls in sections)
    return {
        "$schema": DIALECT,
        "title": "airflow-train definition",
        "description": "What to train and how: one definition per file, which begins with its type.",
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"enum": list(RUNNABLE)}},
        "allOf": [
            {
                "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
                "then": {"$ref": f"#/$defs/{name}"},
            }
            for name in RUNNABLE
        ],
        "$defs": {name: _class(cls) for name, cls in classes.items()},
    }


def _class(cls: type[Definition]) -> dict[str, Any]:
    required = [name for name, row in cls.PARAMS.items() if row.default is REQUIRED]
    names = [cls.__name__, *(word for word in cls.type_names() if word != cls.__name__.lower())]
    return {
        "type": "object",
        "description": (cls.__doc__ or "").split("\n\n")[0],
        "properties": {
            "type": {"enum": names, "description": "The class of the definition."},
            **{name: _property(row) for name, row in cls.PARAMS.items()},
        },
        "required": ["type", *required] if len(names) > 1 or cls.__name__ in RUNNABLE else required,
        "additionalProperties": False,
    }


def _property(row: Param) -> dict[str, Any]:
    schema = dict(row.kind.schema())
    if row.doc or row.kept:
        schema["description"] = row.doc
    if not row.kept:
        schema["deprecated"] = True
        why = f"use {row.deprecated_for}" if row.deprecated_for else row.meaningless
        schema["description"] = f"Accepted for old definitions: {why}."
    if row.default is not REQUIRED and row.default is not None:
        schema["default"] = row.default
    return schema
