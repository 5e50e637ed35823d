"""Files of a run: what lies below `<run>/files`. Names are relative to that, e.g. `outputs/model.pkl`."""

from __future__ import annotations

import difflib
import hashlib
import secrets
from pathlib import Path
from typing import NoReturn

from airflow_train.exceptions import AlreadyExists, FileNotInRun
from airflow_train.runtime import protocol
from airflow_train.store import layout
from airflow_train.store.files import Files
from airflow_train.store.live import Live
from airflow_train.store.local import replace_file

_SHOWN = 20


def names(files: Files, run_id: str, prefix: str = "") -> list[tuple[str, int]]:
    """(name, bytes) of all files of a run, or of those at or below `prefix`."""
    growing = Live(files, run_id).sizes(protocol.FILES_FOLDER)
    cut = len(protocol.FILES_FOLDER) + 1
    whole = {name: size for name, size, _ in files.walk(layout.files(run_id))}
    everything = sorted({**{name[cut:]: size for name, size in growing.items()}, **whole}.items())
    wanted = prefix.strip("/")
    if not wanted:
        return everything
    return [(name, size) for name, size in everything if name == wanted or name.startswith(f"{wanted}/")]


def download_file(files: Files, run_id: str, name: str, target: Path) -> Path:
    """Copy one file to `target`, which appears whole.

    :raises FileNotInRun: no such file; the message lists those that are there, the nearest first.
    """
    if not any(found == name for found, _ in names(files, run_id, name)):
        raise FileNotInRun(f"run {run_id} has no file {name!r}; {available(files, run_id, name)}.")
    copy_out(files, run_id, name, target)
    return target


def download(files: Files, run_id: str, prefix: str, to: Path) -> list[Path]:
    """Copy all files at or below `prefix` into the folder `to`; the prefix stays part of their paths.

    A file that is there with the same content stays untouched.

    :raises FileNotInRun: nothing lies there; the message lists what does.
    :raises AlreadyExists: another file stands at a target.
    """
    found = names(files, run_id, prefix)
    if not found:
        refuse_missing(files, run_id, prefix)
    for name, _ in found:
        copy_out(files, run_id, name, to / name)
    return [to / name for name, _ in found]


def refuse_missing(files: Files, run_id: str, prefix: str) -> NoReturn:
    """:raises FileNotInRun: nothing lies at or below `prefix`; the message lists what does."""
    raise FileNotInRun(f"run {run_id} has no files below {prefix!r}; {available(files, run_id, prefix)}.")


def upload(files: Files, run_id: str, name: str, path: Path) -> None:
    """Add a local file to a run under a name that is free.

    :raises AlreadyExists: the run has a file of that name.
    """
    if not files.copy_in(path, f"{layout.files(run_id)}/{name}"):
        raise AlreadyExists(
            f"run {run_id} has a file {name!r} already, and names are given once; use another name."
        )


def available(files: Files, run_id: str, wanted: str) -> str:
    """What a run has instead of `wanted`, as half a sentence."""
    there = [name for name, _ in names(files, run_id)]
    near = difflib.get_close_matches(wanted, there, n=_SHOWN, cutoff=0.3)
    ordered = near + [name for name in there if name not in near]
    if not ordered:
        return "it has no files at all"
    more = f" and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else ""
    return f"it has {', '.join(ordered[:_SHOWN])}{more}"


def copy_out(files: Files, run_id: str, name: str, target: Path) -> None:
    """Copy a file that is there; one that stands at the target with the same content stays untouched.

    :raises AlreadyExists: another file stands at the target.
    """
    if not target.exists():
        _fetch(files, run_id, name, target)
        return
    fresh = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        _fetch(files, run_id, name, fresh)
        if target.is_dir() or _digest(fresh) != _digest(target):
            raise AlreadyExists(f"{target} is there with other content; remove it or choose another folder.")
    finally:
        fresh.unlink(missing_ok=True)


def _fetch(files: Files, run_id: str, name: str, target: Path) -> None:
    """Copy a file as far as it has come."""
    try:
        files.copy_out(f"{layout.files(run_id)}/{name}", target)
    except FileNotFoundError:
        content = Live(files, run_id).read(f"{protocol.FILES_FOLDER}/{name}")
        target.parent.mkdir(parents=True, exist_ok=True)
        replace_file(target, lambda descriptor: _write(descriptor, content))


def _write(descriptor: int, content: bytes) -> None:
    with open(descriptor, "wb", closefd=False) as file:
        file.write(content)


def _digest(path: Path) -> bytes:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()
