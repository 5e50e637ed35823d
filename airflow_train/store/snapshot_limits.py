"""What a source directory that is too large holds, and the lines that leave it behind."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence

from airflow_train import config
from airflow_train.exceptions import SnapshotError
from airflow_train.store.ignore import IGNORE_FILES, ignore_file, line_for
from airflow_train.store.source_tree import Folder

_SHOWN = 5
#: A folder is named by what is in it where that makes up this much of it.
_MOST = 0.8
#: What makes up less than this much of everything isn't worth a line.
_LEAST = 0.01
#: Nobody waits until the whole disk is counted.
_PATIENCE = 20


class Limits:
    """`[train] snapshot_max_files` and `snapshot_max_bytes`.

    :param ignore: names of ignore files, of which the first that is there decides.
    """

    def __init__(self, ignore: Sequence[str] = IGNORE_FILES) -> None:
        self._ignore = ignore
        self._max_files = config.get_number("snapshot_max_files")
        self._max_bytes = config.get_number("snapshot_max_bytes")

    def listed(self, source: str, found: Iterable[Folder], entry_script: str | None = None) -> list[Folder]:
        """The folders of a source directory.

        :param entry_script: path below it that must travel, so that nobody is told to leave it behind.
        :raises SnapshotError: they hold more than may travel.
        """
        folders: list[Folder] = []
        files = size = 0
        for folder in found:
            folders.append(folder)
            files += folder.files
            size += folder.bytes
            if files > self._max_files * _PATIENCE:
                break
        if files > self._max_files:
            what = f"more than the {self._max_files:.0f} files that may travel ([train] snapshot_max_files)"
            raise self._error(source, folders, files, size, what, entry_script, by_size=False)
        if size > self._max_bytes:
            what = f"more than the {_amount(self._max_bytes)} that may travel ([train] snapshot_max_bytes)"
            raise self._error(source, folders, files, size, what, entry_script, by_size=True)
        return folders

    def _error(
        self,
        source: str,
        folders: list[Folder],
        files: int,
        size: int,
        what: str,
        entry_script: str | None,
        *,
        by_size: bool,
    ) -> SnapshotError:
        counts, sizes = _totals(folders)
        excess = size - self._max_bytes if by_size else files - self._max_files
        biggest = _biggest(sizes if by_size else counts, excess, _needed(source, entry_script))
        lines = [line_for(path) for path in biggest]
        least = "at least " if files > self._max_files * _PATIENCE else ""
        finding = f"{source} holds {least}{_many(files)} with {_amount(size)}, {what}"
        if not lines:
            return SnapshotError(
                f"{finding}; raise the limit or move what the script doesn't need elsewhere."
            )
        width = max(map(len, lines))
        shown = [
            f"  {line.ljust(width)}  {_many(counts[path])}, {_amount(sizes[path])}"
            for path, line in zip(biggest, lines, strict=True)
        ]
        mend = (
            f"leave the biggest behind by adding these lines to {source}/{ignore_file(source, self._ignore)}"
        )
        return SnapshotError(f"{finding}; raise the limit or {mend}:\n" + "\n".join(shown))


def _totals(folders: list[Folder]) -> tuple[Counter[str], Counter[str]]:
    """Files and bytes of every file and folder by path; those of folders end with a slash, the root is left out."""
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for folder in folders:
        for entry in folder.all_entries():
            size = entry[3] if entry[1] == "f" else 0
            path = entry[0]
            while path:
                counts[path] += 1
                sizes[path] += size
                path = path[: path.rstrip("/").rfind("/") + 1]
    return counts, sizes


def _needed(source: str, entry_script: str | None) -> frozenset[str]:
    """The entry script, as written and where links lead, and the folders that it lies in."""
    found: set[str] = set()
    if entry_script is not None:
        real = os.path.relpath(os.path.realpath(f"{source}/{entry_script}"), source)
        for path in (os.path.normpath(entry_script), real):
            parts = path.split("/")
            ways = ["/".join(parts[:place]) for place in range(1, len(parts))]  # folders, or links to folders
            found |= {path, *ways, *(f"{way}/" for way in ways)}
    return frozenset(found)


def _biggest(weights: Counter[str], excess: float, needed: frozenset[str]) -> list[str]:
    """What weighs most of all that may stay behind, until as much as `excess` does; never anything `needed`."""
    below: dict[str, list[str]] = {}
    for path in weights:
        below.setdefault(path[: path.rstrip("/").rfind("/") + 1], []).append(path)
    total = sum(weights[path] for path in below[""])
    waiting, free = list(below[""]), []
    while waiting:
        path = waiting.pop()
        if path not in needed and path.rsplit("/", 1)[-1] not in IGNORE_FILES:
            free.append(path)
        elif path.endswith("/"):
            waiting += below[path]
    found: list[str] = []
    for path in sorted(free, key=lambda path: (-weights[path], path))[:_SHOWN]:
        if excess <= 0 or weights[path] < _LEAST * total:
            break
        while path.endswith("/"):
            inner = max(below[path], key=lambda one: weights[one])
            if weights[inner] < _MOST * weights[path]:
                break
            path = inner
        found.append(path)
        excess -= weights[path]
    return found


def _many(files: int) -> str:
    return "1 file" if files == 1 else f"{files} files"


def _amount(size: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
