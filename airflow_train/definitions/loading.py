"""From whatever an author or operator hands over to a definition: an object, plain data or the path of a YAML file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from airflow_train.definitions.definition import TYPE, from_file
from airflow_train.definitions.estimator import Estimator
from airflow_train.definitions.frameworks import Chainer, PyTorch, SKLearn, TensorFlow
from airflow_train.definitions.report import At, Lines, Report
from airflow_train.definitions.report import Path as Place
from airflow_train.definitions.run_configuration import RunConfiguration
from airflow_train.definitions.runconfig_names import is_run_configuration
from airflow_train.definitions.runnable import Runnable
from airflow_train.definitions.script_run import ScriptRunConfig
from airflow_train.definitions.values import either, is_deferred, is_reference, nearest, shown
from airflow_train.exceptions import DefinitionError

#: The classes that a file or a task may hold, by the word that `type` is in lower case.
RUNNABLE: dict[str, type[Runnable]] = {
    cls.__name__.lower(): cls for cls in (Estimator, PyTorch, TensorFlow, Chainer, SKLearn, ScriptRunConfig)
}


def load(value: Any, *, base: Path | None = None, strict: bool | None = None) -> Runnable:
    """The definition that a value describes, checked.

    :param value: a definition, plain data with `type`, or the path of a YAML or `.runconfig` file.
    :param base: what a relative path of a file starts from; default the current folder.
    :param strict: refuse templates where a checked value must stand, and XCom arguments anywhere. By default so for
        everything but files, which may wait for a task to render them; `normalized()` refuses them in any case.
    :raises DefinitionError: with every problem found.
    """
    if isinstance(value, Runnable):
        return value.strictly() if strict is not False else value
    if isinstance(value, Mapping):
        return from_document(value, strict=strict is not False)
    if isinstance(value, (str, os.PathLike)) and not isinstance(text := os.fspath(value), bytes):
        if is_deferred(text):
            raise DefinitionError(
                f"The definition is {shown(text)}, a template that was not rendered; "
                "run it from a DAG, or name the file."
            )
        if is_run_configuration(text):
            return from_run_configuration(RunConfiguration.load((base or Path()) / text), strict=bool(strict))
        return from_file((base or Path()) / text, from_document, strict=bool(strict))
    if isinstance(value, RunConfiguration):
        return from_run_configuration(value, strict=strict is not False)
    raise DefinitionError(_not_one(value))


def from_run_configuration(value: RunConfiguration, *, strict: bool) -> ScriptRunConfig:
    """The run of a configuration in the project that its file belongs to.

    :raises DefinitionError: it is of no file, or names no script.
    """
    where, folder = value.home()
    if folder is None:
        raise DefinitionError(
            "The definition is a RunConfiguration, which doesn't say in which folder the script lies; "
            "write ScriptRunConfig(source_directory, run_config=…)."
        )
    return ScriptRunConfig.from_dict(
        {"source_directory": str(folder), "run_config": value}, where=where, strict=strict
    )


def from_document(
    data: Mapping[str, Any],
    *,
    where: str | None = None,
    lines: Lines | None = None,
    strict: bool = True,
    found: Iterable[tuple[Place, str]] = (),
    folder: Path | None = None,
) -> Runnable:
    """The definition that plain data with `type` describes.

    :param where: the file that it was read from, whose folder a relative `source_directory` starts from.
    :param lines: the file's line of every path in `data`.
    :param strict: as in `load`.
    :param found: problems that were found before, with the path of each.
    :raises DefinitionError: with every problem found.
    """
    named = data.get(TYPE)
    cls = RUNNABLE.get(named.lower()) if isinstance(named, str) else None
    if cls is None:
        report = Report(where or "The definition", lines)
        for path, sentence in found:
            report.problem(path, sentence)
        _say_type(named, At(report) / TYPE)
        report.finish(stacklevel=2)
        raise AssertionError("an unknown type was reported")
    if folder is None and where is not None:
        folder = Path(where).absolute().parent
    return cls.from_dict(data, where=where, lines=lines, strict=strict, found=found, folder=folder)


def as_plain(value: Any) -> Any:
    """A definition as plain data for an operator's template field, where relative paths stay as they are.

    Literal values are checked; templates and XCom arguments are left for the time when they are known. The path of a
    file is given back as text.

    :raises DefinitionError: something that is neither breaks a rule.
    """
    if is_deferred(value):
        return value
    if isinstance(value, RunConfiguration):
        value = from_run_configuration(value, strict=False)
    if isinstance(value, Runnable):
        return value.to_dict()
    if isinstance(value, Mapping):
        return dict(value) if is_deferred(value.get(TYPE)) else from_document(value, strict=False).to_dict()
    if isinstance(value, (str, os.PathLike)):
        return os.fspath(value)
    raise DefinitionError(_not_one(value))


def _say_type(named: Any, at: At) -> None:
    names = [cls.__name__ for cls in RUNNABLE.values()]
    if named is None:
        at.say("type is missing", f"begin with type: {either(names)}")
        return
    close = nearest(named, names)
    at.wrong(named, either(names), f"did you mean {close}?" if close else "write one of these")


def _not_one(value: Any) -> str:
    what = (
        "an XCom argument that was not resolved"
        if is_reference(value)
        else f"of class {type(value).__name__}"
    )
    names = either(cls.__name__ for cls in RUNNABLE.values())
    return f"The definition is {what} but must be an object of {names}, its data, or the path of a YAML file."
