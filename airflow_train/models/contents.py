"""Which files make a model: those of a run at a path or below it, or a local file or folder.

Both give `Contents`: the name of the file or folder itself, and for every file its path in the model and where its
bytes lie (a name in the store, or a local path).
"""

from __future__ import annotations

import difflib
import os
import posixpath
from dataclasses import dataclass
from pathlib import Path

from airflow_train.exceptions import ModelError, RunNotFound
from airflow_train.store import layout
from airflow_train.store.files import Files

_MOST_NAMES = 20
_MOST_COMPARED = 2000


@dataclass(frozen=True)
class Contents:
    """`sources` maps each path in the model to a name in the store (str) or a local file (Path)."""

    root: str
    sources: dict[str, str | Path]


def normal_path(path: str) -> str:
    """A path among a run's files without `./` and trailing slashes."""
    return posixpath.normpath(path) if path else path


def of_run(files: Files, run_id: str, path: str, *, said: bool = True) -> Contents:
    """The file `path` among a run's files, or all files below it; `said` is False when nobody gave the path.

    :raises RunNotFound: no such run.
    :raises ModelError: nothing is there; the sentence names the nearest files that are.
    """
    if not files.exists(layout.spec(run_id)):
        raise RunNotFound(
            f"there is no run {run_id} in {files.uri}; `airflow-train runs list` shows those that are."
        )
    folder = layout.files(run_id)
    names = [name for name, _, _ in files.walk(folder)]
    found = [name for name in names if name == path or name.startswith(f"{path}/")]
    if not found:
        raise ModelError(_not_there(run_id, path, names, said))
    above = posixpath.dirname(path)
    cut = len(above) + 1 if above else 0
    return Contents(posixpath.basename(path), {name[cut:]: f"{folder}/{name}" for name in found})


def of_local_path(path: str | os.PathLike[str]) -> Contents:
    """A local file, or all files below a local folder; links to files are followed.

    :raises ModelError: nothing is there, the folder has no files, or holds a link to a folder.
    """
    top = Path(path).expanduser().absolute()
    if top.is_file():
        return Contents(top.name, {top.name: top})
    if not top.is_dir():
        raise ModelError(
            f"model_path is {os.fspath(path)!r}, but there is no file or folder {top}; correct the path."
        )
    sources: dict[str, str | Path] = {}
    for folder, folders, names in os.walk(top):
        for name in sorted(folders):
            if Path(folder, name).is_symlink():
                raise ModelError(
                    f"{Path(folder, name)} is a link to a folder; replace it by the folder itself."
                )
        folders.sort()
        for name in sorted(names):
            source = Path(folder, name)
            sources[f"{top.name}/{source.relative_to(top).as_posix()}"] = source
    if not sources:
        raise ModelError(
            f"model_path is {os.fspath(path)!r}, but {top} holds no files; save the model there first."
        )
    return Contents(top.name, sources)


def _not_there(run_id: str, path: str, names: list[str], said: bool) -> str:
    place = f"run {run_id} has no file or folder {path!r}"
    if not said:
        place = f"model_path isn't given, so the model's name is looked for, but {place}"
    if not names:
        return f"{place}, nor any other file; let the script write its model below ./outputs."
    mend = "give one of them, or a folder of them, as model_path"
    return f"{place}; it has {_nearest(path, names)}; {mend}."


def _nearest(path: str, names: list[str]) -> str:
    matcher = difflib.SequenceMatcher(b=path, autojunk=False)

    def likeness(name: str) -> float:
        matcher.set_seq1(name)
        return matcher.ratio()

    nearest = sorted(names[:_MOST_COMPARED], key=likeness, reverse=True)[:_MOST_NAMES]
    more = len(names) - len(nearest)
    return ", ".join(nearest) + (f" and {more} more" if more else "")
