"""Checks that touch files: the source directory, and what the definition names inside it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from airflow_train.definitions.packages import conda_file
from airflow_train.definitions.report import At, Report
from airflow_train.definitions.requirement_lines import read_file
from airflow_train.definitions.runnable import Runnable
from airflow_train.definitions.values import is_deferred, nearest, shown
from airflow_train.exceptions import DefinitionError

#: Most files that are looked at to find the name that the author meant.
_LOOKED_AT = 5000
#: Parameters that name a file inside the source directory.
_NAMES = ("entry_script", "script", "pip_requirements_file", "conda_dependencies_file")


def check_files(definition: Runnable, base: Path | None = None) -> None:
    """Find everything that is wrong with the files that a definition names; values that are templates are passed over.

    :param base: what a relative source directory starts from, unless it came from a YAML file.
    :raises DefinitionError: with every problem found.
    """
    if is_deferred(definition.source_directory):
        return
    report = Report(*definition.origin())
    folder = definition.source_path(base)
    if _folder_is_there(definition, folder, At(report) / "source_directory"):
        for name in _NAMES:
            value, at = getattr(definition, name, None), At(report) / name
            if value is None and name == "script":  # a run configuration may name it
                value = getattr(getattr(definition, "run_config", None), name, None)
                at = At(report) / "run_config" / name
            if isinstance(value, str) and not is_deferred(value):
                _check_file(folder, value, name, at)
    report.finish(stacklevel=2)


def _folder_is_there(definition: Runnable, folder: Path, at: At) -> bool:
    written = f"{at} is {shown(definition.source_directory)}"
    if not os.path.exists(folder):
        close = nearest(folder.name, _siblings(folder))
        mend = f"did you mean {close}?" if close else "correct the path"
        at.say(f"{written} but there is no folder {folder}", mend)
    elif not os.path.isdir(folder):
        at.say(f"{written}, which is a file, but must be a folder", f"name its folder {folder.parent}")
    elif not os.access(folder, os.R_OK | os.X_OK):
        at.say(f"{written} but the folder {folder} can't be read", "correct its permissions")
    else:
        return True
    return False


def _check_file(folder: Path, value: str, name: str, at: At) -> None:
    path = folder / value
    if value.endswith("/") and os.path.isfile(folder / value.rstrip("/")):
        at.say(f"{name} is {shown(value)}, which has a slash at its end, but is a file", "write it without")
    elif not os.path.exists(path):
        close = nearest(value, _files(folder))
        mend = f"did you mean {close}?" if close else "it must lie inside the source directory"
        at.say(f"{name} is {shown(value)} but there is no such file in {folder}", mend)
    elif os.path.isdir(path):
        at.say(f"{name} is {shown(value)}, which is a folder, but must be a file", "name the file in it")
    elif not os.path.isfile(path):
        at.say(f"{name} is {shown(value)}, which is a pipe or device, but must be a file", "name another one")
    elif not path.resolve().is_relative_to(folder.resolve()):
        at.say(
            f"{name} is {shown(value)}, a link to {path.resolve()}, but must lie in the source directory",
            "copy the file there",
        )
    elif name in ("pip_requirements_file", "conda_dependencies_file"):
        try:
            read_file(path) if name == "pip_requirements_file" else conda_file(path)
        except DefinitionError as error:
            at.report.add(at.path, error.problems)


def _siblings(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in os.scandir(folder.parent) if entry.is_dir()]
    except OSError:
        return []


def _files(folder: Path) -> Iterator[str]:
    seen = 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for name in sorted(names):
            seen += 1
            if seen > _LOOKED_AT:
                return
            yield os.path.relpath(os.path.join(place, name), folder)
