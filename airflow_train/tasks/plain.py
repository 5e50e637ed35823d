"""Definitions as plain data: what an operator keeps in its template field, and what it makes of it when it runs.

Jinja renders dicts and lists, an XCom argument inside them makes a dependency, and the serialized DAG stays the same
from parse to parse: no absolute path, no object ever gets into the field.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from airflow_train import definitions
from airflow_train.exceptions import DefinitionError, TrainError
from airflow_train.tasks import compat

_TEMPLATE = ("{{", "{%")


def folder_of(dag: Any) -> Path | None:
    """The folder of a DAG's file, where relative paths of its definitions start; None while nobody knows."""
    place = getattr(dag, "fileloc", None)
    return Path(place).absolute().parent if place else None


def folder_at_parse(dag: Any) -> Path | None:
    """The same while DAG files are read, when a DAG's own word is its maker's file, which may be a library."""
    place = compat.parsed_file()
    return Path(place).absolute().parent if place else folder_of(dag)


def at_parse(estimator: Any, base: Path | None) -> Any:
    """A definition, its data or its YAML file as plain data for a template field; literals are checked.

    A YAML file is read here, so that its content is shown and rendered like data written in the DAG file; its relative
    `source_directory` then counts from the DAG file. A templated path stays, to be read when the task runs.

    :raises DefinitionError: something that is no template breaks a rule.
    """
    if isinstance(estimator, (str, os.PathLike)):
        return _file_at_parse(os.fspath(estimator), base)
    return definitions.as_plain(estimator)


class Readable(str):
    """A rendered definition as the UI shows it: YAML. What it was made of is its `data`.

    Airflow shows a field as it is stored, a mapping as JSON and, beyond 4 kB, as a cut Python repr.
    """

    __slots__ = ("data",)
    data: Any

    def __new__(cls, text: str, data: Any = None) -> Self:
        made = super().__new__(cls, text)
        made.data = data
        return made


def readable(estimator: Any, base: Path | None) -> Any:
    """The rendered field as YAML, without secrets; a file's content in place of its path.

    What is no definition stays as it is: `at_run` says so in words.
    """
    import yaml

    from airflow_train.tasks import compat

    if isinstance(estimator, Readable) or estimator is None:
        return estimator
    try:
        safe = compat.redacted(_content(estimator, base))
        text = yaml.safe_dump(safe, sort_keys=False, allow_unicode=True, width=100)
    except (TrainError, TypeError, ValueError, yaml.YAMLError):
        return estimator
    return Readable(text.rstrip("\n"), estimator)


def _content(estimator: Any, base: Path | None) -> dict[str, Any]:
    if not isinstance(estimator, str):
        return dict(estimator)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they are given when the file is read to be run
        return dict(definitions.load(estimator, base=base).to_dict())


def at_run(estimator: Any, base: Path) -> Mapping[str, Any]:
    """The rendered field as checked plain data, relative paths made absolute.

    :raises DefinitionError: it breaks a rule, or a template wasn't rendered.
    """
    estimator = given(estimator)
    path = Path(estimator) if isinstance(estimator, (str, os.PathLike)) else None
    found = definitions.load(estimator, base=base)
    data: dict[str, Any] = dict(found.to_dict())
    if "source_directory" in data or path is not None:
        data["source_directory"] = str(found.source_path(base))
    return data


def given(estimator: Any) -> Any:
    """What a `Readable` was made of, all else as it is."""
    return estimator.data if isinstance(estimator, Readable) else estimator


def changed(data: Mapping[str, Any], **values: Any) -> dict[str, Any]:
    """The data with what an operator's own arguments say about it; None says nothing."""
    return {**data, **{name: value for name, value in values.items() if value is not None}}


def said_by(where: str, said: Any, base: Any, folder: Path) -> Any:
    """What a function returned as a definition, or merged into the one it changes.

    :param where: what the sentence starts with.
    :param base: the rendered definition that overrides are merged into; None when there is none.
    :param folder: where relative paths start.
    :raises DefinitionError: it returned neither.
    """
    base = given(base)
    mend = "return a definition, its plain data, the path of a YAML file or a dict of overrides."
    if said is None:
        raise DefinitionError(f"{where} returned nothing; {mend}")
    if isinstance(said, (str, os.PathLike)) or hasattr(said, "to_dict"):
        return definitions.as_plain(said) if hasattr(said, "to_dict") else os.fspath(said)
    if not isinstance(said, Mapping):
        raise DefinitionError(f"{where} returned {said!r}; {mend}")
    if "type" in said:
        return dict(said)
    if base is None:
        raise DefinitionError(
            f"{where} returned a dict without type, which can only override something; add type, or write "
            "@task.estimator(estimator=…)."
        )
    data = at_run(base, folder) if isinstance(base, (str, os.PathLike)) else base
    return _merged(data, said)


def _merged(data: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings of the same type value by value, all else replaced."""
    found = dict(data)
    for key, value in over.items():
        old = found.get(key)
        if (
            isinstance(old, Mapping)
            and isinstance(value, Mapping)
            and value.get("type", old.get("type")) == old.get("type")
        ):
            value = _merged(old, value)
        found[key] = value
    return found


def _file_at_parse(text: str, base: Path | None) -> Any:
    if any(mark in text for mark in _TEMPLATE):
        return text
    path = (base or Path()) / text
    if base is None and not path.is_file():
        return text  # the DAG isn't known yet; when it runs it is
    found = definitions.load(path)
    data = definitions.as_plain(found)
    if not isinstance(data, dict):
        raise DefinitionError(f"{text} holds no definition.")
    source = found.source_path(None)
    data["source_directory"] = os.path.relpath(source, base) if base is not None else str(source)
    return data
