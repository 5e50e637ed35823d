"""Content-addressed copies of source directories: the same tree has the same id, and only changed bytes move.

A snapshot is a manifest, `snapshots/<SHA-256 of it>.json`, that names every file's content, `blobs/ab/<SHA-256>`:

    {"format": 1, "entries": [["src","d",493], ["src/train.py","f",420,1034,"9f2c…"], ["data","l","../shared"]]}

Entries come folder by folder, a folder before what is in it. Contents are in the store before the manifest is, so a
manifest that is there is whole, whenever its maker was killed. Of modes only the executable bit of files travels.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_train.exceptions import SnapshotError
from airflow_train.store import contents, layout
from airflow_train.store.files import Files
from airflow_train.store.ignore import ignore_file, line_for, why_ignored
from airflow_train.store.local import ContentChanged
from airflow_train.store.snapshot_limits import Limits
from airflow_train.store.source_tree import Entry, Folder, SourceTree, travelling_mode
from airflow_train.store.stat_cache import StatCache

FORMAT = 1
_ID = re.compile(r"[0-9a-f]{64}")
_REMOTE_AT_ONCE = 16


@dataclass(frozen=True)
class Snapshot:
    """A source directory in the store. `new_bytes` is what had to move; links count as files."""

    id: str
    files: int
    bytes: int
    new_bytes: int


def take(files: Files, source: Path, *, entry_script: str | None = None) -> Snapshot:
    """Put a source directory into the store.

    :param entry_script: path below the source directory that must travel.
    :raises SnapshotError: it is too large, can't be read, changes meanwhile, has a link that leads outside, or its
        entry script is missing or ignored.
    """
    now = time.time_ns()
    root = os.path.realpath(source)
    cache = StatCache(root, files.uri)
    cache.load()
    if cache.id and not files.exists(layout.snapshot(cache.id)):
        cache.forget()
    tree = SourceTree(root, cache.folders, store_below(root, files), now)
    folders = Limits().listed(root, tree.walk(), entry_script)
    changed = [folder for folder in folders if folder.entries is not None]
    moved = read(tree, changed, lambda path: contents.put(files, path), at_once=files.local_root is None)
    folders = in_order(folders)
    if entry_script is not None:
        _check_entry(root, entry_script, folders)
    totals = sum(folder.files for folder in folders), sum(folder.bytes for folder in folders)
    if cache.id and len(folders) == len(cache.folders) and all(folder.entries is None for folder in folders):
        return Snapshot(cache.id, *totals, 0)
    document = manifest(folders)
    name = hashlib.sha256(document).hexdigest()
    if not files.exists(layout.snapshot(name)):
        files.create(layout.snapshot(name), document)
    cache.save(name, folders)
    return Snapshot(name, *totals, moved)


def measure(source: Path, *, entry_script: str | None = None, files: Files | None = None) -> dict[str, int]:
    """How many `files` and `bytes` would travel; reads no contents and writes nothing.

    :param files: the store, which stays behind where it lies in the source directory.
    :raises SnapshotError: as `take`, as far as it can be known.
    """
    root = os.path.realpath(source)
    without = None if files is None else store_below(root, files)
    found = SourceTree(root, {}, without, time.time_ns()).walk()
    folders = in_order(Limits().listed(root, found, entry_script))
    for folder in folders:
        folder.finish({})
    if entry_script is not None:
        _check_entry(root, entry_script, folders)
    return {
        "files": sum(folder.files for folder in folders),
        "bytes": sum(folder.bytes for folder in folders),
    }


def read_manifest(files: Files, snapshot_id: str) -> list[Entry]:
    """Entries of a snapshot: `[path, "f", mode, bytes, sha256]`, `[path, "l", target]`, `[path, "d", mode]`.

    :raises SnapshotError: there is no such snapshot, or its manifest is damaged.
    """
    if _ID.fullmatch(snapshot_id) is None:
        raise SnapshotError(f"{snapshot_id!r} is no id of a snapshot: ids are 64 hexadecimal digits.")
    content = files.read_or_none(layout.snapshot(snapshot_id))
    if content is None:
        raise SnapshotError(f"There is no snapshot {snapshot_id} in {files.uri}; it was removed.")
    if hashlib.sha256(content).hexdigest() != snapshot_id:
        raise SnapshotError(
            f"{files.join(layout.snapshot(snapshot_id))} is damaged (its SHA-256 isn't its name); restore the file."
        )
    document: dict[str, Any] = json.loads(content)
    if document["format"] != FORMAT:
        raise SnapshotError(f"Snapshot {snapshot_id} has format {document['format']}; upgrade airflow-train.")
    entries: list[Entry] = document["entries"]
    return entries


def restore(files: Files, snapshot_id: str, destination: Path) -> None:
    """Lay a snapshot out in a folder that is empty or doesn't exist.

    :raises SnapshotError: the folder isn't empty, or the stored copy is damaged.
    """
    entries = read_manifest(files, snapshot_id)
    try:
        destination.mkdir(parents=True, exist_ok=True)
        empty = not os.listdir(destination)
    except OSError as error:
        raise SnapshotError(f"{destination} can't be a folder ({error.strerror}); choose another.") from error
    if not empty:
        raise SnapshotError(f"{destination} isn't empty; choose an empty folder or a new one.")
    for kind in ("d", "f", "l"):  # links last: nothing is ever written through one
        for entry in entries:
            if entry[1] == kind:
                _lay_out(files, entry, destination)


def _lay_out(files: Files, entry: Entry, destination: Path) -> None:
    path, kind = entry[0], entry[1]
    if path.startswith("/") or ".." in path.split("/"):
        raise SnapshotError(
            f"The snapshot names {path!r}, which lies outside of {destination}; it is refused."
        )
    target = destination / path
    if kind == "d":
        target.mkdir()
    elif kind == "l":
        target.symlink_to(entry[2])
    else:
        blob = layout.blob(entry[4])
        try:
            files.copy_out(blob, target)
        except FileNotFoundError:
            raise SnapshotError(
                f"{files.join(blob)}, the content of {path}, is gone from the store."
            ) from None
        with target.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != entry[4]:
                raise SnapshotError(
                    f"{files.join(blob)}, the content of {path}, is damaged (its SHA-256 isn't its name)."
                )
        target.chmod(entry[2])


def store_below(root: str, files: Files) -> str | None:
    """The run store's path below the source directory; it never travels."""
    if files.local_root is None:
        return None
    store = os.path.realpath(files.local_root)
    if store == root:
        raise SnapshotError(f"{root} is the run store itself; put source code and store into two folders.")
    return store[len(root.rstrip("/")) + 1 :] if store.startswith(f"{root.rstrip('/')}/") else None


def read(
    tree: SourceTree, changed: list[Folder], look: Callable[[str], contents.Content], *, at_once: bool
) -> int:
    """Reads what has no digest yet; returns the bytes that moved.

    :param look: What reads one file.
    :param at_once: Many folders at the same time.
    :raises SnapshotError: something can't be read, or changes meanwhile.
    """
    if not at_once:
        return sum(_read_folder(tree, folder, look) for folder in changed)
    with ThreadPoolExecutor(_REMOTE_AT_ONCE) as pool:
        return sum(pool.map(lambda folder: _read_folder(tree, folder, look), changed))


def _read_folder(tree: SourceTree, folder: Folder, look: Callable[[str], contents.Content]) -> int:
    assert folder.entries is not None
    moved, gone = 0, False
    seen: dict[str, tuple[int, ...]] = {}
    for entry in folder.entries:
        if entry[1] != "f" or entry[4]:
            continue
        try:
            content = look(f"{tree.source}/{entry[0]}")
        except FileNotFoundError:  # removed since the folder was listed
            gone = True
            continue
        except ContentChanged:
            raise _changing(tree.source, entry[0]) from None
        except OSError as error:
            raise tree.unreadable(entry[0], error) from error
        entry[2:] = [travelling_mode(content.facts[0]), content.facts[2], content.digest]
        seen[entry[0][len(folder.path) :]] = content.facts
        moved += content.moved
    folder.entries = [entry for entry in folder.entries if entry[1] != "f" or entry[4]]
    folder.finish(seen, complete=not gone)
    return moved


def _changing(source: str, path: str) -> SnapshotError:
    return SnapshotError(
        f"{source}/{path} changes while it is read; wait for whatever writes it, or add the line {line_for(path)} to"
        f" {source}/{ignore_file(source)}."
    )


def in_order(folders: list[Folder]) -> list[Folder]:
    """By path, each before what is in it; without those that only travel with something in them and have nothing."""
    ordered = sorted(folders, key=lambda folder: folder.path.split("/"))
    if not any(folder.optional for folder in folders):
        return ordered
    needed: set[str] = set()
    for folder in reversed(ordered):
        if folder.files or not folder.optional or folder.path in needed:
            needed.add(folder.path)
            needed.add(folder.path[: folder.path.rstrip("/").rfind("/") + 1])
    return [folder for folder in ordered if folder.path in needed]


def manifest(folders: Iterable[Folder]) -> bytes:
    """The manifest of folders that were read, in their order."""
    pieces = []
    for folder in folders:
        if folder.path:
            pieces.append(b'[%s,"d",493]' % json.dumps(folder.path[:-1]).encode("ascii"))  # 0o755
        if folder.body:
            pieces.append(folder.body)
    return b'{"format":%d,"entries":[%s]}\n' % (FORMAT, b",".join(pieces))


def _check_entry(root: str, entry_script: str, folders: list[Folder]) -> None:
    written = os.path.normpath(entry_script)
    real = os.path.relpath(os.path.realpath(f"{root}/{written}"), root)
    links = [path for path in _ways(written) if os.path.islink(f"{root}/{path}")]
    if _travels(real, "f", folders) and all(_travels(path, "l", folders) for path in links):
        return
    for path in (written, real):
        if os.path.lexists(f"{root}/{path}") and (rule := why_ignored(Path(root), path)) is not None:
            raise SnapshotError(
                f"The entry script {entry_script} is ignored by {rule} in {root}; change that line or add !/{path}"
                " below it."
            )
    raise SnapshotError(f"There is no file {entry_script} in {root}, which is the entry script; correct it.")


def _ways(path: str) -> list[str]:
    """A path and the folders on the way to it."""
    parts = path.split("/")
    return ["/".join(parts[: place + 1]) for place in range(len(parts))]


def _travels(path: str, kind: str, folders: list[Folder]) -> bool:
    inside = path[: path.rfind("/") + 1]
    start = f'[{json.dumps(path)},"{kind}",'.encode("ascii")
    return any(start in folder.body for folder in folders if folder.path == inside)
