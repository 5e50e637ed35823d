"""Many files on their way into a folder of the store; small ones get their names together at the end.

On a local store a file alone costs a temporary file, a link and its removal. So small ones are written into a folder
aside, which no listing shows, and its folders are renamed as wholes where nothing stands yet. What stands is never
replaced: beside it the newcomers are linked to their names one by one. A kill leaves the folder aside to
`Files.remove_half_written`.

    with arriving.at(files, "runs/a") as door:
        door.file("files/outputs/model", size, pieces)
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from airflow_train.exceptions import StoreError
from airflow_train.store.files import Files, checked
from airflow_train.store.local import TEMPORARY

#: Bytes from which a file gets its name at once, so that a kill never loses much.
LARGE = 1 << 20


class Swept(StoreError):
    """Somebody has cleared away what was half written, as one does when all of it has come."""


@contextmanager
def at(files: Files, folder: str) -> Iterator[Door]:
    """Inside, files of a folder arrive; at its end all have their names, unless it failed.

    :raises Swept: somebody else has finished the same.
    """
    door = Door(files, checked(folder))
    try:
        yield door
        with files.sentences("written", folder):
            door.name_all()
    finally:
        door.close()


class Door:
    """Takes what arrives in one folder; a name that is taken keeps what it has."""

    def __init__(self, files: Files, folder: str) -> None:
        self._files, self._folder = files, folder
        self._target = "" if files.local_root is None else f"{files.local_root}/{folder}"
        self._aside = f"{self._target}/{TEMPORARY}{os.getpid()}-{secrets.token_hex(8)}"
        self._opened = False

    def folder(self, name: str) -> None:
        """A folder, where the store knows empty ones."""
        if self._target:
            path = self._path(name)
            with self._files.sentences("made", name):
                self._make(path)

    def file(self, name: str, size: int, pieces: Iterable[bytes]) -> None:
        """A file of so many bytes."""
        if not self._target or size >= LARGE:
            self._files.create_from(f"{self._folder}/{name}", pieces)
            return
        path, content = self._path(name), b"".join(pieces)
        with self._files.sentences("written", name):
            _write(self._open(path), content)

    def again(self, first: str, name: str) -> None:
        """A second name of a file that has arrived: a copy of it."""
        if self._target:
            aside = Path(self._path(first))
            source = aside if aside.exists() else Path(self._target, first)
            self._files.copy_in(source, f"{self._folder}/{name}")
            return
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, "copy")
            self._files.copy_out(f"{self._folder}/{first}", copy)
            self._files.copy_in(copy, f"{self._folder}/{name}")

    def name_all(self) -> None:
        """Give everything its name."""
        if self._opened:
            try:
                _merge(self._aside, self._target)
            except FileNotFoundError:
                raise Swept(_SWEPT % self._target) from None

    def close(self) -> None:
        """Remove what is left aside."""
        if self._opened:
            shutil.rmtree(self._aside, ignore_errors=True)

    def _path(self, name: str) -> str:
        if not self._opened:
            with self._files.sentences("written", self._folder):
                os.makedirs(self._aside)
            self._opened = True
        return f"{self._aside}/{checked(name)}"

    def _open(self, path: str) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            return os.open(path, flags, 0o666)
        except FileNotFoundError:
            self._make(os.path.dirname(path))
            return os.open(path, flags, 0o666)

    def _make(self, folder: str) -> None:
        """Make a folder aside; the one that holds them all is made once, so that nothing of it is ever missed."""
        if folder == self._aside:
            raise Swept(_SWEPT % self._target)
        try:
            os.mkdir(folder)
        except FileExistsError:
            return
        except FileNotFoundError:
            self._make(os.path.dirname(folder))
            self._make(folder)


_SWEPT = "what was being brought to %s was cleared away meanwhile; look again."


def _write(descriptor: int, content: bytes) -> None:
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
    finally:
        os.close(descriptor)


def _merge(source: str, target: str) -> None:
    """Move what a folder holds into another."""
    with os.scandir(source) as entries:
        for entry in entries:
            name = f"{target}/{entry.name}"
            if not entry.is_dir(follow_symlinks=False):
                with suppress(FileExistsError):
                    os.link(entry.path, name)
            elif not _renamed(entry.path, name):
                _merge(entry.path, name)


def _renamed(folder: str, target: str) -> bool:
    """Rename a folder; False when one with something in it stands there."""
    try:
        os.rename(folder, target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    return True
