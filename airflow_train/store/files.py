"""The door to the run store: named files below one folder or fsspec URI.

    files = Files.open("/data/train")          # or s3://bucket/train, memory://train
    files.create("runs/a/spec.json", b"{}")    # True: made; False: was there. Never half, never twice.

Names are relative, with `/`. Everything that other processes rely on is made with `create`; `write` replaces at once
and is for heartbeats and what can be derived again. Nothing is flushed to disk: a store survives the death of any
process, its newest records may not survive the loss of power.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from airflow_train.exceptions import ConfigurationError, StoreError
from airflow_train.store import layout
from airflow_train.store.local import TEMPORARY, LocalBackend, remove_aside


class Backend(Protocol):
    """What a kind of store must do; `root` is its local folder, if it has one."""

    root: Path | None

    def create(self, name: str, data: bytes) -> bool: ...
    def write(self, name: str, data: bytes) -> None: ...
    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes: ...
    def names(self, folder: str) -> list[str]: ...
    def walk(self, folder: str) -> Iterator[tuple[str, int, float]]: ...
    def exists(self, name: str) -> bool: ...
    def delete(self, name: str) -> None: ...
    def delete_tree(self, folder: str) -> None: ...
    def size(self, name: str) -> int | None: ...
    def copy_in(self, source: Path, name: str, digest: str | None) -> bool: ...
    def create_from(self, name: str, pieces: Iterable[bytes]) -> bool: ...
    def copy_out(self, name: str, target: Path) -> None: ...


class Files:
    """Files below one root. Picklable; holds no open connection across a fork."""

    def __init__(self, uri: str, backend: Backend) -> None:
        self.uri = uri
        self._backend = backend

    @classmethod
    def open(cls, uri: str | os.PathLike[str]) -> Files:
        """Opens a store by path or fsspec URI; makes nothing.

        :raises ConfigurationError: the URI holds credentials, a package is missing, or the kind of store can't create
            files exclusively.
        """
        text = os.fspath(uri)
        scheme, separator, rest = text.partition("://")
        if not text:
            raise ConfigurationError("The run store is empty but must be a path or URI; set [train] store.")
        if not separator or scheme in ("file", "local"):
            path = Path(os.path.normpath(Path(rest if separator else text).expanduser().absolute()))
            return cls(str(path), LocalBackend(path))
        from airflow_train.store.remote import RemoteBackend

        backend = RemoteBackend(text)
        return cls(backend.uri, backend)

    def __repr__(self) -> str:
        return f"Files({self.uri!r})"

    def __reduce__(self) -> tuple[Callable[[str], Files], tuple[str]]:
        return Files.open, (self.uri,)

    @property
    def local_root(self) -> Path | None:
        """The folder on this machine, or None where the store is elsewhere."""
        return self._backend.root

    def join(self, *names: str) -> str:
        """URI (or absolute path) of a name."""
        return "/".join((self.uri.rstrip("/"), *(checked(name) for name in names)))

    def create(self, name: str, data: bytes) -> bool:
        """Makes a file exclusively: True when this call made it, False when it was there."""
        with self.sentences("written", name):
            return self._backend.create(checked(name), data)

    def create_json(self, name: str, value: Any) -> bool:
        """`create` of one JSON document."""
        return self.create(name, layout.as_json(value))

    def next_number(self, folder: str, build: Callable[[int], bytes]) -> int:
        """Takes the next free number of `folder` exclusively: makes `NNNN.json` of `build(number)`, returns it.

        `build` is called again with a higher number whenever another process was faster. On remote stores the content
        should be the caller's own (an owner, a time): an equal record is taken for this caller's repeated request.
        """
        number = max(self.numbers(folder), default=0) + 1
        while not self.create(f"{folder}/{number:04d}.json", build(number)):
            number += 1
        return number

    def numbers(self, folder: str) -> list[int]:
        """Numbers taken in `folder`, ascending."""
        stems = (name[:-5] for name in self.list(folder) if name.endswith(".json"))
        return sorted(int(stem) for stem in stems if stem.isdecimal())

    def write(self, name: str, data: bytes) -> None:
        """Makes or replaces a file at once: readers see the old content or the new one."""
        with self.sentences("written", name):
            self._backend.write(checked(name), data)

    def write_json(self, name: str, value: Any) -> None:
        """`write` of one JSON document."""
        self.write(name, layout.as_json(value))

    def read(self, name: str) -> bytes:
        """Content of a file.

        :raises FileNotFoundError: no such name.
        """
        with self.sentences("read", name, missing=False):
            return self._backend.read(checked(name))

    def read_range(self, name: str, offset: int, length: int | None = None) -> bytes:
        """Content from byte `offset` on, `length` bytes of it or to the end as it is now; empty when there is none.

        :raises FileNotFoundError: no such name.
        """
        with self.sentences("read", name, missing=False):
            return self._backend.read(checked(name), offset, length)

    def read_or_none(self, name: str) -> bytes | None:
        """Content of a file, or None when there is none."""
        try:
            return self.read(name)
        except FileNotFoundError:
            return None

    def read_json(self, name: str) -> Any:
        """One JSON document.

        :raises FileNotFoundError: no such name.
        :raises StoreError: it isn't JSON.
        """
        try:
            return json.loads(self.read(name))
        except ValueError as error:
            place = self.join(name)
            raise StoreError(
                f"{place} is not JSON ({error}): the store is damaged; restore the file."
            ) from error

    def read_json_or_none(self, name: str) -> Any:
        """One JSON document, or None when there is no such file."""
        try:
            return self.read_json(name)
        except FileNotFoundError:
            return None

    def list(self, folder: str) -> list[str]:
        """Names directly in a folder, sorted; empty when there is no such folder."""
        with self.sentences("listed", folder):
            return self._backend.names(checked(folder))

    def walk(self, folder: str) -> Iterator[tuple[str, int, float]]:
        """Files at any depth as (name below `folder`, bytes, time of change in seconds), in a stable order."""
        cut = len(checked(folder)) + 1 if folder else 0
        with self.sentences("listed", folder):
            for name, size, modified in self._backend.walk(folder):
                yield name[cut:], size, modified

    def exists(self, name: str) -> bool:
        """Whether a file (locally also a folder) of that name is there."""
        with self.sentences("read", name):
            return self._backend.exists(checked(name))

    def delete(self, name: str) -> None:
        """Removes a file; one that is gone is fine."""
        with self.sentences("removed", name):
            self._backend.delete(checked(name))

    def delete_tree(self, folder: str) -> None:
        """Removes a folder with everything in it; one that is gone is fine."""
        if not folder:
            raise StoreError(
                f"{self.uri} is a whole store and is never removed at once; name a folder in it."
            )
        with self.sentences("removed", folder):
            self._backend.delete_tree(checked(folder))

    def create_from(self, name: str, pieces: Iterable[bytes]) -> bool:
        """Makes a file exclusively of all pieces, or not at all; True when this call made it."""
        with self.sentences("written", name):
            return self._backend.create_from(checked(name), pieces)

    def make_folder(self, name: str) -> None:
        """Makes a folder where the store knows empty ones."""
        if self.local_root is not None:
            with self.sentences("made", name):
                (self.local_root / checked(name)).mkdir(parents=True, exist_ok=True)

    def remove_half_written(self, folder: str) -> None:
        """Removes what killed writers left below a folder; one that lives makes its own again."""
        if self.local_root is None:
            return
        for place, folders, names in os.walk(self.local_root / checked(folder)):
            for name in names:
                if name.startswith(TEMPORARY):
                    Path(place, name).unlink(missing_ok=True)
            for name in [name for name in folders if name.startswith(TEMPORARY)]:
                folders.remove(name)
                remove_aside(f"{place}/{name}")

    def size(self, name: str) -> int | None:
        """Bytes of a file, or None when there is none."""
        with self.sentences("read", name):
            return self._backend.size(checked(name))

    def copy_in(self, source: Path, name: str, digest: str | None = None) -> bool:
        """Makes a file exclusively from a local one: True when this call made it.

        :param digest: SHA-256 that the content must have.
        :raises ContentChanged: it hasn't; nothing was made.
        """
        with self.sentences("written", name):
            return self._backend.copy_in(source, checked(name), digest)

    def copy_out(self, name: str, target: Path) -> None:
        """Copies a file to a local path, which appears whole; makes the folders above it.

        :raises FileNotFoundError: no such name.
        """
        with self.sentences("copied", name, missing=False):
            self._backend.copy_out(checked(name), target)

    @contextmanager
    def sentences(self, done: str, name: str, *, missing: bool = True) -> Iterator[None]:
        """Inside, errors of the system become ours."""
        try:
            yield
        except FileNotFoundError as error:
            if not missing:
                raise
            raise StoreError(self._sentence(done, name, error)) from error
        except OSError as error:
            raise StoreError(self._sentence(done, name, error)) from error

    def _sentence(self, done: str, name: str, error: OSError) -> str:
        known = isinstance(error.filename, str) and TEMPORARY not in error.filename
        place = error.filename if known else self.join(name)
        found, mend = _CAUSES.get(error.errno or 0, (error.strerror or str(error), "look at the store"))
        return f"{place} can't be {done}: {found}; {mend}."


_SPACE = ("no space is left", "free some or move the store ([train] store)")
_PERMISSION = ("permission is denied to this user", "grant it or choose another store ([train] store)")
_LINKS = ("its filesystem knows no hard links, which exclusive creation needs", "choose another store folder")
_FOLDER = (
    "a file stands where a folder is needed, or the reverse",
    "remove it or choose another store folder",
)
_CAUSES: dict[int, tuple[str, str]] = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: ("the disk quota is used up", "free some or move the store ([train] store)"),
    errno.EACCES: _PERMISSION,
    errno.EPERM: (
        "the operation is not permitted here",
        "grant it or choose a store folder that knows hard links",
    ),
    errno.EROFS: ("the filesystem is read-only", "choose another store ([train] store)"),
    errno.ENOTDIR: _FOLDER,
    errno.EISDIR: _FOLDER,
    errno.EOPNOTSUPP: _LINKS,
    errno.EMLINK: _LINKS,
    errno.ELOOP: (
        "a link stands on its way, and below the folder of a run none is followed",
        "remove the link",
    ),
    errno.ENAMETOOLONG: ("the name is too long for its filesystem", "use a shorter one"),
}


_FORBIDDEN = frozenset(("", ".", ".."))


def checked(name: str) -> str:
    """A name, as it came.

    :raises StoreError: it could mean something outside the store, or something half written.
    """
    if name and ("\0" in name or not _FORBIDDEN.isdisjoint(name.split("/"))):
        raise StoreError(
            f"{name!r} is no name in a store: names are relative, with single slashes and without '..'."
        )
    if TEMPORARY in name:
        raise StoreError(
            f"{name!r} is no name in a store: names with {TEMPORARY!r} are temporary files; rename it."
        )
    return name
