"""From whatever names a definition (an object, plain data, a YAML file) to the object or to plain data."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from airflow_train.definitions.definition import Definition
from airflow_train.definitions.distributed import (
    MpiConfiguration,
    PyTorchConfiguration,
    TensorflowConfiguration,
)
from airflow_train.definitions.environment import ContainerRegistry, DockerConfiguration, Environment
from airflow_train.definitions.estimator import Estimator
from airflow_train.definitions.frameworks import PyTorch, SKLearn
from airflow_train.definitions.runnable import Runnable
from airflow_train.definitions.script_run import ScriptRunConfig
from airflow_train.definitions.values import either, is_deferred, is_reference, is_template, nearest, shown
from airflow_train.exceptions import DefinitionError

#: What can be submitted, and what is only a part of that.
RUNNABLE: dict[str, type[Runnable]] = {
    cls.__name__: cls for cls in (Estimator, PyTorch, SKLearn, ScriptRunConfig)
}
PARTS: dict[str, type[Definition]] = {
    cls.__name__: cls
    for cls in (
        Environment, ContainerRegistry, DockerConfiguration,
        MpiConfiguration, PyTorchConfiguration, TensorflowConfiguration,
    )
}  # fmt: skip

_D = TypeVar("_D", bound=Definition)


def load(value: Any, *, base: Path | None = None, strict: bool = True) -> Runnable:
    """The definition that `value` names.

    :param value: a definition, plain data with `type`, or the path of a YAML file.
    :param base: folder that a relative path starts from; default the current one.
    :param strict: refuse templates and XCom arguments where a checked value must stand.
    :raises DefinitionError: with every problem found.
    """
    if isinstance(value, Runnable):
        return value
    if isinstance(value, Mapping):
        return _class_of(value, "the definition", 0).from_dict(value, strict=strict)
    if not isinstance(value, (str, os.PathLike)):
        found = type(value).__name__
        raise DefinitionError(
            f"The definition is of class {found} but must be an Estimator, {either([*list(RUNNABLE)[1:], 'plain data'])}; "
            "pass one of these or the path of a YAML file."
        )
    path = Path(base or "") / Path(value).expanduser()
    document = _document(path)
    cls = _class_of(document.data, str(path), document.lines.get(("type",), 1))
    return _read(cls, path, document, strict)


def from_yaml(cls: type[_D], path: str | os.PathLike[str], *, base: Path | None, strict: bool) -> _D:
    """The definition of that class in a YAML file; `type` may be left out there."""
    file = Path(base or "") / Path(path).expanduser()
    document = _document(file)
    named = {**RUNNABLE, **PARTS}.get(str(document.data.get("type", cls.__name__)))
    return _read(named if named is not None and issubclass(named, cls) else cls, file, document, strict)


def as_plain(value: Any, *, base: Path | None = None) -> Any:
    """Plain data for a template field: what is literal is checked, what a task knows only later is left as it is.

    :param base: the DAG file's folder. Relative paths of a YAML file become relative to it.
    :raises DefinitionError: a literal value is wrong.
    """
    if is_deferred(value) or (isinstance(value, Mapping) and is_deferred(value.get("type"))):
        return value
    definition = load(value, base=base, strict=False)
    return definition.moved_to(base).to_dict()


def _document(path: Path) -> Any:
    from airflow_train.definitions.yaml_file import parsed

    return parsed(path)


def _read(cls: type[_D], path: Path, document: Any, strict: bool) -> _D:
    folder = path.absolute().parent
    return cls.from_dict(document.data, where=str(path), strict=strict, folder=folder, lines=document.lines)


def _class_of(data: Mapping[str, Any], where: str, line: int) -> type[Runnable]:
    named = data.get("type")
    place = f"{where}:{line}" if line else where[:1].upper() + where[1:]
    if named is None:
        raise DefinitionError(f"{place}: type is missing; add type: {either(RUNNABLE)}.")
    for name, cls in RUNNABLE.items():
        if isinstance(named, str) and named.lower() == name.lower():
            return cls
    close = None if is_reference(named) or is_template(named) else nearest(named, RUNNABLE)
    mend = f"did you mean {close}?" if close else "write one of these."
    raise DefinitionError(f"{place}: type is {shown(named)} but must be {either(RUNNABLE)}; {mend}")
