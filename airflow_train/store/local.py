"""Local folders as a store, with plain system calls (fsspec would cost three times as much and race on create).

A name appears with its whole content or not at all: temporary file beside it, then `os.link`. Killing the writer
leaves at most a file whose name starts with `TEMPORARY`, which no listing shows.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from airflow_train.exceptions import StoreError
from airflow_train.store import guarded

#: Prefix of temporary files; no record's name starts like this.
TEMPORARY = ".airflow-train-tmp-"


_CHUNK = 1 << 20
#: Pieces that every system writes by one call.
_MOST_AT_ONCE = 256


class ContentChanged(StoreError):
    """A file no longer has the content that its name in the store promises."""


class LocalBackend:
    """Reads and writes below `root`. Raises OSError; `Files` makes sentences of them."""

    def __init__(self, root: Path) -> None:
        self.root: Path | None = root
        self._root = str(root)

    def path(self, name: str) -> str:
        """Absolute path of a name."""
        return f"{self._root}/{name}" if name else self._root

    def create(self, name: str, data: bytes) -> bool:
        target = self.path(name)
        if os.path.lexists(target):
            return False
        if not data and not guarded.is_guarded(name):  # nothing can be half written
            return _touch(target)
        return _publish(target, partial(_checked_write, name, data), exclusive=True)

    def write(self, name: str, data: bytes) -> None:
        _publish(self.path(name), partial(_checked_write, name, data), exclusive=False)

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        with open(guarded.opened(self.path(name), name), "rb", buffering=0) as stream:
            if offset:
                stream.seek(offset)
            return stream.read(-1 if length is None else length)

    def names(self, folder: str) -> list[str]:
        try:
            if guarded.is_guarded(folder):
                os.close(guarded.opened(self.path(folder), folder))
            found = os.listdir(self.path(folder))
        except FileNotFoundError:
            return []
        return sorted(name for name in found if not name.startswith(TEMPORARY))

    def walk(self, folder: str) -> Iterator[tuple[str, int, float]]:
        try:
            if guarded.is_guarded(folder):
                os.close(guarded.opened(self.path(folder), folder))
            entries = sorted(os.scandir(self.path(folder)), key=lambda entry: entry.name)
        except FileNotFoundError:
            return
        for entry in entries:
            name = f"{folder}/{entry.name}" if folder else entry.name
            if entry.name.startswith(TEMPORARY):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from self.walk(name)
            elif entry.is_file(follow_symlinks=False):
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                yield name, status.st_size, status.st_mtime

    def exists(self, name: str) -> bool:
        return os.path.exists(self.path(name))

    def delete(self, name: str) -> None:
        try:
            os.unlink(self.path(name))
        except FileNotFoundError:
            return

    def delete_tree(self, folder: str) -> None:
        while os.path.lexists(self.path(folder)):
            with suppress(FileNotFoundError):  # somebody else is removing it, too
                shutil.rmtree(self.path(folder))

    def size(self, name: str) -> int | None:
        try:
            return os.stat(self.path(name)).st_size
        except FileNotFoundError:
            return None

    def copy_in(self, source: Path, name: str, digest: str | None) -> bool:
        target = self.path(name)
        fill = partial(copy, source, digest=digest)
        return not os.path.lexists(target) and _publish(target, fill, exclusive=True)

    def create_from(self, name: str, pieces: Iterable[bytes]) -> bool:
        target = self.path(name)
        return not os.path.lexists(target) and _publish(target, partial(_pour, pieces), exclusive=True)

    def copy_out(self, name: str, target: Path) -> None:
        _publish(str(target), lambda to: copy(guarded.opened(self.path(name), name), to), exclusive=False)


def replace_file(target: Path, fill: Callable[[int], None]) -> None:
    """Makes or replaces a local file at once; `fill` gets the descriptor of the temporary file."""
    _publish(str(target), fill, exclusive=False)


def remove_aside(folder: str) -> None:
    """Removes a folder of files that are on their way; whoever fills it finds it gone, not half of it."""
    gone = f"{os.path.dirname(folder)}/{TEMPORARY}{secrets.token_hex(8)}"
    with suppress(FileNotFoundError):
        os.rename(folder, gone)
    shutil.rmtree(gone, ignore_errors=True)


def _touch(target: str) -> bool:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        os.close(os.open(target, flags, 0o666))
    except FileExistsError:
        return False
    except FileNotFoundError:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        return _touch(target)
    return True


def _publish(target: str, fill: Callable[[int], None], *, exclusive: bool) -> bool:
    try:
        return _try_to_publish(target, fill, exclusive=exclusive)
    except FileNotFoundError:  # whoever judged the run swept the temporary file away
        return _try_to_publish(target, fill, exclusive=exclusive)


def _try_to_publish(target: str, fill: Callable[[int], None], *, exclusive: bool) -> bool:
    folder = os.path.dirname(target)
    temporary = f"{folder}/{TEMPORARY}{os.getpid()}-{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        descriptor = os.open(temporary, flags, 0o666)
    except FileNotFoundError:
        os.makedirs(folder, exist_ok=True)
        descriptor = os.open(temporary, flags, 0o666)
    linked = True
    try:
        try:
            fill(descriptor)
        finally:
            os.close(descriptor)
        if exclusive:
            linked = _link(temporary, target)
        else:
            os.rename(temporary, target)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
    return linked


def _link(temporary: str, target: str) -> bool:
    try:
        os.link(temporary, target)
    except FileExistsError:
        # NFS repeats a request whose answer was lost: two links mean that the first one succeeded.
        return os.stat(temporary).st_nlink == 2
    return True


def _checked_write(name: str, data: bytes, descriptor: int) -> None:
    guarded.check(descriptor, name)
    _write_all(descriptor, data)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _pour(pieces: Iterable[bytes], descriptor: int) -> None:
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _CHUNK or len(waiting) == _MOST_AT_ONCE:
            _write_together(descriptor, waiting, size)
            waiting, size = [], 0
    _write_together(descriptor, waiting, size)


def _write_together(descriptor: int, pieces: list[bytes], size: int) -> None:
    if size and (written := os.writev(descriptor, pieces)) < size:
        _write_all(descriptor, b"".join(pieces)[written:])


def copy(source: Path | int, descriptor: int, digest: str | None = None) -> None:
    """Copies a file, or an open one, which is closed then, into an open one and checks its SHA-256."""
    with open(source, "rb") as reader, open(descriptor, "wb", closefd=False) as writer:
        if digest is None:
            shutil.copyfileobj(reader, writer, _CHUNK)
            return
        found = hashlib.sha256()
        while chunk := reader.read(_CHUNK):
            found.update(chunk)
            writer.write(chunk)
    if found.hexdigest() != digest:
        raise ContentChanged(f"{source} changed while it was copied; try again.")
