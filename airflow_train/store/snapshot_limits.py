"""What a source directory that is too large holds, and the lines that leave it behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from airflow_train import config
from airflow_train.exceptions import SnapshotError
from airflow_train.store.ignore import ignore_file, line_for
from airflow_train.store.source_tree import Folder

_SHOWN = 5
#: A folder is named by what is in it where that makes up this much of it.
_MOST = 0.8
#: Nobody waits until the whole disk is counted.
_PATIENCE = 20


class Limits:
    """`[train] snapshot_max_files` and `snapshot_max_bytes`."""

    def __init__(self) -> None:
        self._max_files = config.get_number("snapshot_max_files")
        self._max_bytes = config.get_number("snapshot_max_bytes")

    def listed(self, source: str, found: Iterable[Folder]) -> list[Folder]:
        """The folders of a source directory.

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
            raise self._error(source, folders, files, size, what, by_size=False)
        if size > self._max_bytes:
            what = f"more than the {_amount(self._max_bytes)} that may travel ([train] snapshot_max_bytes)"
            raise self._error(source, folders, files, size, what, by_size=True)
        return folders

    def _error(
        self, source: str, folders: list[Folder], files: int, size: int, what: str, *, by_size: bool
    ) -> SnapshotError:
        counts, sizes = _totals(folders)
        biggest = _biggest(sizes if by_size else counts)
        lines = [line_for(path) for path in biggest]
        width = max(map(len, lines))
        least = "at least " if files > self._max_files * _PATIENCE else ""
        shown = [
            f"  {line.ljust(width)}  {_many(counts[path])}, {_amount(sizes[path])}"
            for path, line in zip(biggest, lines, strict=True)
        ]
        return SnapshotError(
            f"{source} holds {least}{_many(files)} with {_amount(size)}, {what}; raise the limit or leave the biggest"
            f" behind by adding these lines to {source}/{ignore_file(source)}:\n" + "\n".join(shown)
        )


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


def _biggest(weights: Counter[str]) -> list[str]:
    below: dict[str, list[str]] = {}
    for path in weights:
        below.setdefault(path[: path.rstrip("/").rfind("/") + 1], []).append(path)
    heaviest = sorted(below[""], key=lambda path: (-weights[path], path))
    found = []
    for path in heaviest[:_SHOWN]:
        while path.endswith("/"):
            inner = max(below[path], key=lambda one: weights[one])
            if weights[inner] < _MOST * weights[path]:
                break
            path = inner
        found.append(path)
    return found


def _many(files: int) -> str:
    return "1 file" if files == 1 else f"{files} files"


def _amount(size: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
