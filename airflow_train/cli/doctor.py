"""`airflow-train doctor`: what works on this machine, tried out rather than guessed, and what to do about the rest."""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import sys
from argparse import Namespace
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from airflow_train import config, definitions, targets
from airflow_train.cli import codes, screen
from airflow_train.exceptions import StoreError, TrainError
from airflow_train.store import layout
from airflow_train.store.run_store import RunStore, open_store

#: Less free space than this is worth a word: one snapshot of the default size limit, three times.
_LITTLE_SPACE = 1_000_000_000


class Check(NamedTuple):
    """What was tried; `state` is ok, problem (something that is needed is broken) or note (something is absent)."""

    what: str
    state: str
    found: str


def doctor(args: Namespace) -> int:
    """Try everything; exit code 1 when something that is needed is broken."""
    with screen.working("looking around"):
        checks = list(_checks())
    if args.json:
        screen.print_json([one._asdict() for one in checks])
    else:
        screen.print_table(Check._fields, checks)
    return codes.FAILED if any(one.state == "problem" for one in checks) else codes.COMPLETED


def _checks() -> Iterator[Check]:
    yield Check("python", "ok", f"{platform.python_version()} ({sys.executable})")
    yield _airflow()
    try:
        store = open_store()
    except TrainError as error:
        yield Check("store", "problem", _one_line(error))
        return
    yield _store(store)
    if store.files.local_root is not None:
        yield _space(store.files.local_root)
    yield from _targets(store)


def _airflow() -> Check:
    try:
        return Check("airflow", "ok", metadata.version("apache-airflow"))
    except metadata.PackageNotFoundError:
        return Check(
            "airflow", "note", "not installed: commands work, DAGs don't; `pip install apache-airflow`"
        )


def _store(store: RunStore) -> Check:
    try:
        marker = store.files.read_json_or_none(layout.store_marker())
        if marker is not None:
            store.prepare()
        _try_to_write(store)
    except TrainError as error:
        return Check("store", "problem", _one_line(error))
    return Check("store", "ok", store.uri if marker is not None else f"{store.uri} (no run yet)")


def _try_to_write(store: RunStore) -> None:
    """Make a file exclusively, read it back and remove it, with the folders that weren't there before.

    :raises StoreError: one of it failed.
    """
    name, content = f"doctor-{secrets.token_hex(8)}", b"written by airflow-train doctor\n"
    missing = _missing(store.files.local_root)
    try:
        made, again = store.files.create(name, content), store.files.create(name, b"other\n")
        found = store.files.read_or_none(name)
        if not made or again or found != content:
            raise StoreError(f"{store.uri} doesn't create files exclusively; choose another [train] store.")
    finally:
        try:
            store.files.delete(name)
        finally:
            for folder in missing:
                if folder.is_dir() and not os.listdir(folder):
                    folder.rmdir()


def _missing(folder: Path | None) -> list[Path]:
    """The folder and those above it that don't exist, innermost first."""
    if folder is None:
        return []
    return [one for one in (folder, *folder.parents) if not one.exists()]


def _space(folder: Path) -> Check:
    existing = next(one for one in (folder, *folder.parents) if one.exists())
    free = shutil.disk_usage(existing).free
    if free < _LITTLE_SPACE:
        return Check("space", "note", f"{screen.size(free)} free; remove old runs' outputs or move the store")
    return Check("space", "ok", f"{screen.size(free)} free")


def _targets(store: RunStore) -> Iterator[Check]:
    try:
        named = definitions.named_targets()
        default = config.get("compute_target")
    except TrainError as error:
        yield Check("targets", "problem", _one_line(error))
        return
    if default not in named and default not in targets.types():
        yield Check(
            "targets", "problem", f"[train] compute_target is {default!r}; known: {', '.join(named)}."
        )
        return
    yield Check("targets", "ok", f"{', '.join(named)}; {default} where none is named")
    for name, resolved in named.items():
        try:
            found = targets.get(resolved).doctor(store)
        except TrainError as error:  # nobody is hurt by a target that isn't used
            yield Check(f"target {name}", "problem" if name == default else "note", _one_line(error))
            continue
        for what, works, text in found:
            yield Check(f"target {name}: {what}", "ok" if works else "problem", text)


def _one_line(error: TrainError) -> str:
    return " ".join(str(error).splitlines())
