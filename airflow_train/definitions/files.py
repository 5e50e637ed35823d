"""Checks that touch the disk: they run in `validate`, `dry-run` and submit, not when a DAG file is parsed."""

from __future__ import annotations

import os
from pathlib import Path

from airflow_train.definitions.runnable import Runnable
from airflow_train.definitions.values import nearest, shown
from airflow_train.exceptions import DefinitionError

_FILES = {
    "entry_script": "entry_script",
    "script": "script",
    "pip_requirements_file": "pip_requirements_file",
    "conda_dependencies_file": "conda_dependencies_file",
}
#: Most files that are looked at for a name like the missing one.
_LOOKED_AT = 5_000


def check_files(definition: Runnable, base: Path | None = None) -> None:
    """Whether the source directory and the files in it that the definition names are there.

    :param base: folder that a relative source directory starts from, unless the definition came from a file.
    :raises DefinitionError: with one sentence per missing file.
    """
    source = definition.source_path(base)
    where = definition._where
    if not source.is_dir():
        found = "is a file" if source.exists() else "is missing"
        written = shown(str(definition.source_directory))
        close = None if source.exists() else _near_folder(source)
        mend = (
            f"did you mean {close}?" if close else "correct the path, which starts at the file that says it."
        )
        raise DefinitionError(
            f"{where}: source_directory {written} must be a folder but {source} {found}; {mend}"
        )
    problems = []
    for name in _FILES:
        if written := getattr(definition, name, None):
            problem = _problem(source, str(written), name)
            problems += [f"{where}: {problem}"] if problem else []
    if problems:
        raise DefinitionError(problems)


def _problem(source: Path, written: str, name: str) -> str:
    path = source / written
    if path.is_file():
        if path.resolve().is_relative_to(source.resolve()):
            return ""
        return f"{name} {written} is a link that leaves {source}; put the file itself there."
    if path.is_dir():
        return f"{name} {written} is a folder in {source} but must be a file; name the file in it."
    files = _files(source)
    same = [file for file in files if Path(file).name == Path(written).name]
    close = same[0] if same else nearest(written, files)
    mend = f"did you mean {close}?" if close else "correct the name; it is relative to source_directory."
    return f"{name} {written} is not in {source}; {mend}"


def _files(source: Path) -> list[str]:
    found: list[str] = []
    for folder, folders, names in os.walk(source):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        found += [os.path.relpath(Path(folder) / name, source) for name in sorted(names)]
        if len(found) > _LOOKED_AT:
            break
    return found


def _near_folder(source: Path) -> str | None:
    if not source.parent.is_dir():
        return None
    return nearest(source.name, [each.name for each in source.parent.iterdir() if each.is_dir()])
