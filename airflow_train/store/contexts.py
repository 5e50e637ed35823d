"""Build contexts: snapshots of folders that images are built from, by Docker's own rule of what stays behind."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from airflow_train.exceptions import SnapshotError
from airflow_train.store import contents, layout, snapshots
from airflow_train.store.files import Files
from airflow_train.store.ignore import DOCKERIGNORE
from airflow_train.store.snapshot_limits import Limits
from airflow_train.store.source_tree import SourceTree


def take(files: Files, folder: Path, dockerfile: str) -> str:
    """Put a folder into the store; returns the id of its snapshot.

    :param dockerfile: its Dockerfile, which may have ignore rules of its own.
    :raises SnapshotError: it is too large, can't be read, changes meanwhile, or has a link that leads outside.
    """
    manifest = _manifest(files, folder, dockerfile, lambda path: contents.put(files, path))
    name = hashlib.sha256(manifest).hexdigest()
    if not files.exists(layout.snapshot(name)):
        files.create(layout.snapshot(name), manifest)
    return name


def identify(files: Files, folder: Path, dockerfile: str) -> str:
    """The id that `take` would give; writes nothing.

    :raises SnapshotError: as `take`.
    """
    return hashlib.sha256(_manifest(files, folder, dockerfile, contents.look)).hexdigest()


def read_text(files: Files, snapshot_id: str, path: str) -> str:
    """A text file of a snapshot.

    :raises SnapshotError: there is no such snapshot, or no such file in it.
    """
    for entry in snapshots.read_manifest(files, snapshot_id):
        if entry[0] == os.path.normpath(path) and entry[1] == "f":
            return files.read(layout.blob(entry[4])).decode("utf-8", "replace")
    raise SnapshotError(f"The snapshot {snapshot_id} holds no file {path}; register its environment again.")


def _manifest(files: Files, folder: Path, dockerfile: str, look: Callable[[str], contents.Content]) -> bytes:
    root = os.path.realpath(folder)
    own = f"{dockerfile}{DOCKERIGNORE}"  # BuildKit's rule: it wins over the one in the root
    ignore = own if os.path.isfile(f"{root}/{own}") else DOCKERIGNORE
    tree = SourceTree(root, {}, snapshots.store_below(root, files), time.time_ns(), (ignore,), dockerfile)
    folders = Limits((ignore,)).listed(root, tree.walk())
    snapshots.read(tree, folders, look, at_once=files.local_root is None)
    return snapshots.manifest(snapshots.in_order(folders))
