"""Small source directories, and what is in them in forms that can be compared."""

from __future__ import annotations

import os
import time
from pathlib import Path

from airflow_train.store import snapshots
from airflow_train.store.files import Files

FILES = {"train.py": "print(1)\n", "pkg/__init__.py": "", "pkg/deep/a b.py": "x = 1\n", "ünï/#1.txt": "…"}


def write(folder: Path, contents: dict[str, str]) -> Path:
    for name, text in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def age(folder: Path) -> None:
    """Waits until no file is so young that a change could pass unseen."""
    newest = max(path.lstat().st_ctime_ns for path in folder.rglob("*"))
    while time.time_ns() < newest + 110_000_000:
        time.sleep(0.01)


def tree(folder: Path) -> dict[str, str]:
    """Everything below a folder in one comparable form."""
    found = {}
    for path in folder.rglob("*"):
        mode = "x" if path.lstat().st_mode & 0o100 else "-"
        kind = (
            f"-> {os.readlink(path)}"
            if path.is_symlink()
            else "dir"
            if path.is_dir()
            else mode + path.read_text()
        )
        found[str(path.relative_to(folder))] = kind
    return found


def names(files: Files, snapshot: snapshots.Snapshot) -> list[str]:
    return [entry[0] for entry in snapshots.read_manifest(files, snapshot.id) if entry[1] != "d"]
