"""Code in, outputs and logs out: what the supervisor moves between the working directory and the run's files.

Every step can be taken again after a kill: files move one by one, and what has moved isn't there any more.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from typing import Any, Callable, Iterator

from airflow_train.runtime import protocol

Tick = Callable[[], None]


def stage(snapshot: dict[str, str], work: str, tick: Tick) -> int:
    """Lay a snapshot out in a fresh working directory; returns the number of files.

    :param snapshot: paths of the `manifest` and of the folder of `blobs`; an empty dict stages nothing.
    :raises ValueError: a blob doesn't have the content that the manifest names.
    """
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    if not snapshot:
        return 0
    with open(snapshot["manifest"], encoding="utf-8") as file:
        entries = json.load(file)["entries"]
    folders = [entry for entry in entries if entry[1] == "d"]
    for entry in folders:
        os.makedirs(os.path.join(work, entry[0]), exist_ok=True)
    count = 0
    for entry in entries:
        target = os.path.join(work, entry[0])
        if entry[1] == "l":
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.symlink(entry[2], target)
        elif entry[1] == "f":
            digest = entry[4]
            _copy_blob(os.path.join(snapshot["blobs"], digest[:2], digest), target, digest)
            os.chmod(target, entry[2])
            count += 1
            if count % 100 == 0:
                tick()
    for entry in reversed(folders):
        os.chmod(os.path.join(work, entry[0]), entry[2] | 0o700)
    return count


def _copy_blob(blob: str, target: str, digest: str) -> None:
    os.makedirs(os.path.dirname(target), exist_ok=True)
    found = hashlib.sha256()
    with open(blob, "rb") as source, open(target, "xb") as copy:
        while True:
            chunk = source.read(1 << 20)
            if not chunk:
                break
            found.update(chunk)
            copy.write(chunk)
    if found.hexdigest() != digest:
        raise ValueError("the stored copy of %s is damaged (its SHA-256 isn't %s)" % (target, digest))


class LogMirror:
    """Copies what the script appends to `./logs` into the run's files while the script runs; dot files stay.

    Only positions are kept in memory. A file that shrank or was replaced is copied again from its start.
    """

    def __init__(self, source: str, target: str) -> None:
        self.source, self.target = source, target
        self._seen: dict[str, tuple[int, int]] = {}

    def sync(self) -> None:
        """Copy everything that is new."""
        for folder, subfolders, names in os.walk(self.source):
            subfolders[:] = [name for name in subfolders if not name.startswith(".")]
            for name in names:
                path = os.path.join(folder, name)
                if not name.startswith(".") and os.path.isfile(path) and not os.path.islink(path):
                    self._copy_new(path, os.path.join(self.target, os.path.relpath(path, self.source)))

    def _copy_new(self, path: str, target: str) -> None:
        with contextlib.suppress(FileNotFoundError), open(path, "rb") as source:
            facts = os.fstat(source.fileno())
            inode, position = self._seen.get(path, (facts.st_ino, 0))
            if inode == facts.st_ino and position == facts.st_size and path in self._seen:
                return
            again = inode != facts.st_ino or facts.st_size < position or path not in self._seen
            position = 0 if again else position
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "wb" if again else "ab") as copy:
                source.seek(position)
                shutil.copyfileobj(source, copy, 1 << 20)
                self._seen[path] = (facts.st_ino, source.tell())


def collect(work: str, files: str, tick: Tick) -> dict[str, Any]:
    """Move `./outputs` of the working directory to the run's files.

    A name that the script has uploaded by hand stays as uploaded; other content of that name is kept beside it.

    :returns: `outputs`, the number of files moved, and `conflicts`, the names under which second versions were kept.
    """
    moved, conflicts = 0, []
    for links in (True, False):  # links first, while all that they show is still there
        for path in _outputs(work, files, links):
            kept = _move(path, os.path.join(files, os.path.relpath(path, work)))
            moved += 1
            if kept:
                conflicts.append(os.path.relpath(kept, files))
            tick()
    return {"outputs": moved, "conflicts": conflicts}


def _outputs(work: str, files: str, links: bool) -> Iterator[str]:
    """Links, or files, below `outputs`; sockets and pipes hold nothing. Makes empty folders in passing."""
    root = os.path.join(work, "outputs")
    for folder, subfolders, names in os.walk(root):
        if not names and not subfolders and folder != root:
            os.makedirs(os.path.join(files, os.path.relpath(folder, work)), exist_ok=True)
        for name in names + subfolders:
            path = os.path.join(folder, name)
            if os.path.islink(path) if links else os.path.isfile(path) and not os.path.islink(path):
                yield path


def _move(path: str, target: str) -> str | None:
    """Move a file or link without ever replacing one; returns the other name if the target was taken."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    renamed = None
    number = 0
    while True:
        candidate = target if number == 0 else "%s.conflict-%d" % (target, number)
        try:
            _link(path, candidate)
            renamed = candidate if number else None
            break
        except FileExistsError:
            if _same(path, candidate):
                break
            number += 1
    os.unlink(path)
    return renamed


def _link(path: str, target: str) -> None:
    if os.path.islink(path):
        inside = os.path.join(os.path.dirname(path), os.readlink(path))
        if os.path.isfile(inside):  # a link into the working directory would dangle: keep what it shows
            return _copy(inside, target)
        return os.symlink(os.readlink(path), target)
    try:
        os.link(path, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK):
            raise
        _copy(path, target)


def _copy(path: str, target: str) -> None:
    aside = os.path.join(os.path.dirname(target), protocol.TEMPORARY + "%d" % os.getpid())
    shutil.copyfile(path, aside)
    try:
        os.link(aside, target)
    finally:
        os.unlink(aside)


def _same(path: str, other: str) -> bool:
    if os.path.islink(other):
        return os.path.islink(path) and os.readlink(path) == os.readlink(other)
    if not os.path.isfile(path) or not os.path.isfile(other):
        return False
    if os.path.samefile(path, other):
        return True
    if os.path.getsize(path) != os.path.getsize(other):
        return False
    with open(path, "rb") as first, open(other, "rb") as second:
        while True:
            chunk = first.read(1 << 20)
            if chunk != second.read(1 << 20):
                return False
            if not chunk:
                return True
