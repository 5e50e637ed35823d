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
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow_train.exceptions import StoreError
from airflow_train.store.files import Files, checked
from airflow_train.store.local import TEMPORARY

#: Bytes from which a file gets its name at once, so that a kill never loses much.
LARGE = 1 << 20
#: What keeps a name from standing here, whoever tries again: errno → what is the matter with it.
_NO_PLACE = {
    errno.ENOTDIR: "needs a folder where a file stands",
    errno.EISDIR: "is a file where a folder stands",
    errno.ENAMETOOLONG: "has a name that is too long for the run store",
}


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
    """Takes what arrives in one folder; a name that is taken keeps what it has.

    What can't stand beside what is there is left out, once `name_all` is through: `left` has a half sentence on each.
    """

    def __init__(self, files: Files, folder: str) -> None:
        self._files, self._folder = files, folder
        self._target = "" if files.local_root is None else f"{files.local_root}/{folder}"
        self._aside = f"{self._target}/{TEMPORARY}{os.getpid()}-{secrets.token_hex(8)}"
        self._opened = False
        self.left: list[str] = []

    def folder(self, name: str) -> None:
        """A folder, where the store knows empty ones."""
        if self._target:
            path = self._path(name)
            try:
                with self._files.sentences("made", name):
                    self._make(path)
            except StoreError as error:
                self._leave_out(name, error)

    def file(self, name: str, size: int, pieces: Iterable[bytes]) -> None:
        """A file of so many bytes."""
        if not self._target or size >= LARGE:
            self._at_once(name, lambda: self._files.create_from(f"{self._folder}/{name}", pieces))
            return
        path, content = self._path(name), b"".join(pieces)
        try:
            with self._files.sentences("written", name):
                _write(self._open(path), content)
        except StoreError as error:
            self._leave_out(name, error)

    def again(self, first: str, name: str) -> None:
        """A second name of a file that has arrived: a copy of it."""
        if self._target:
            aside = Path(self._path(first))
            source = aside if aside.exists() else Path(self._target, first)
            self._at_once(name, lambda: self._files.copy_in(source, f"{self._folder}/{name}"))
            return
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, "copy")
            self._files.copy_out(f"{self._folder}/{first}", copy)
            self._files.copy_in(copy, f"{self._folder}/{name}")

    def _at_once(self, name: str, make: Callable[[], bool]) -> None:
        """Give a file its name now."""
        try:
            if not make() and self._target and os.path.isdir(f"{self._target}/{name}"):
                raise _is_folder(name)
        except (OSError, StoreError) as error:
            self._leave_out(name, error)

    def name_all(self) -> None:
        """Give everything its name."""
        if self._opened:
            try:
                self._merge(self._aside, self._target)
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

    def _merge(self, source: str, target: str) -> None:
        """Move what a folder holds into another."""
        with os.scandir(source) as entries:
            for entry in entries:
                name = f"{target}/{entry.name}"
                try:
                    if not entry.is_dir(follow_symlinks=False):
                        _link(entry.path, name)
                    elif not _renamed(entry.path, name):
                        self._merge(entry.path, name)
                except OSError as error:
                    self._leave_out(name.removeprefix(f"{self._target}/"), error)

    def _leave_out(self, name: str, error: OSError | StoreError) -> None:
        """:raises OSError: it may find a place another time; or StoreError, as it came."""
        cause = error.__cause__ if isinstance(error, StoreError) else error
        number = cause.errno if isinstance(cause, OSError) else None
        if number not in _NO_PLACE:
            raise error
        self.left.append(f"{name.removeprefix('files/')} {_NO_PLACE[number]}")


_SWEPT = "what was being brought to %s was cleared away meanwhile; look again."


def _write(descriptor: int, content: bytes) -> None:
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
    finally:
        os.close(descriptor)


def _link(source: str, target: str) -> None:
    """Give a file a name, unless a file has it."""
    try:
        os.link(source, target)
    except FileExistsError:
        if os.path.isdir(target):
            raise _is_folder(target) from None


def _is_folder(name: str) -> OSError:
    return IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)


def _renamed(folder: str, target: str) -> bool:
    """Rename a folder; False when one with something in it stands there."""
    try:
        os.rename(folder, target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    return True
