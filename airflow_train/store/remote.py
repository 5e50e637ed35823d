"""Stores behind fsspec: the only module that imports it.

Only kinds of store with a real exclusive create are let in, and each store is probed once per process: it must refuse
to make the same name twice, because some servers that speak S3 ignore the header that asks for it.

| kind | exclusive create |
|---|---|
| memory | under a lock; one process, for tests |
| s3, s3a | s3fs ≥ 2025.7: If-None-Match |
| gs, gcs, abfs, abfss, az | gcsfs, adlfs ≥ 2024.12 |
"""

from __future__ import annotations

import hashlib
import inspect
import os
import secrets
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from airflow_train.exceptions import ConfigurationError, StoreError
from airflow_train.store.local import TEMPORARY, ContentChanged, copy, replace_file

_PACKAGES = {"s3": "s3fs>=2025.7", "s3a": "s3fs>=2025.7", "gs": "gcsfs>=2024.12", "gcs": "gcsfs>=2024.12"}
_PACKAGES |= dict.fromkeys(("abfs", "abfss", "az"), "adlfs>=2024.12")
_PROBE = "exclusive-create.probe"
_MEMORY_LOCK = threading.Lock()
_CHUNK = 1 << 22


class RemoteBackend:
    """Reads and writes below a URI. Raises OSError, and StoreError for what a client library raises besides."""

    def __init__(self, uri: str) -> None:
        self.root: Path | None = None
        self._kind = uri.partition("://")[0]
        _refuse_credentials(uri)
        if self._kind != "memory" and self._kind not in _PACKAGES:
            kinds = ", ".join(f"{kind}://" for kind in _PACKAGES)
            raise ConfigurationError(
                f"The run store is of kind {self._kind!r}, which can't make files exclusively; use a path or {kinds}."
            )
        self.uri = uri.rstrip("/")
        self._opened: tuple[int, Any] | None = None
        self._probed = self._kind == "memory"
        self._system()

    def create(self, name: str, data: bytes) -> bool:
        self._probe()
        with self._foreign(name), self._locked():
            try:
                self._system().pipe_file(self._path(name), data, mode="create")
            except FileExistsError:
                part = partial(_slice, data)
                return self._kind != "memory" and self._mine(name, len(data), part)
        return True

    def write(self, name: str, data: bytes) -> None:
        with self._foreign(name):
            self._system().pipe_file(self._path(name), data)

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        with self._foreign(name):
            if not offset and length is None:
                return bytes(self._system().cat_file(self._path(name)))
            size = int(self._system().info(self._path(name))["size"])
            end = size if length is None else min(size, offset + length)
            return (
                bytes(self._system().cat_file(self._path(name), start=offset, end=end))
                if offset < end
                else b""
            )

    def names(self, folder: str) -> list[str]:
        with self._foreign(folder):
            try:
                found = self._system().ls(self._path(folder), detail=False)
            except (FileNotFoundError, NotADirectoryError):
                return []
        return sorted({str(path).rstrip("/").rpartition("/")[2] for path in found})

    def walk(self, folder: str) -> Iterator[tuple[str, int, float]]:
        with self._foreign(folder):
            found = self._system().find(self._path(folder), detail=True)
        root = str(self._system()._strip_protocol(self.uri)).rstrip("/")  # noqa: SLF001 - fsspec's own way
        for path, facts in sorted(found.items()):
            yield path[len(root) :].lstrip("/"), int(facts.get("size") or 0), _modified(facts)

    def exists(self, name: str) -> bool:
        with self._foreign(name):
            return bool(self._system().exists(self._path(name)))

    def delete(self, name: str) -> None:
        with self._foreign(name):
            try:
                self._system().rm_file(self._path(name))
            except FileNotFoundError:
                return

    def delete_tree(self, folder: str) -> None:
        with self._foreign(folder):
            try:
                self._system().rm(self._path(folder), recursive=True)
            except FileNotFoundError:
                return

    def size(self, name: str) -> int | None:
        with self._foreign(name):
            try:
                return int(self._system().info(self._path(name))["size"])
            except FileNotFoundError:
                return None

    def copy_in(self, source: Path, name: str, digest: str | None) -> bool:
        if source.stat().st_size <= _CHUNK:
            data = source.read_bytes()
            if digest not in (None, hashlib.sha256(data).hexdigest()):
                raise ContentChanged(f"{source} changed while it was copied; try again.")
            return self.create(name, data)
        if digest is None:
            return self._put(source, name)
        with tempfile.NamedTemporaryFile(
            prefix=TEMPORARY
        ) as private:  # what is uploaded can't change any more
            copy(source, private.fileno(), digest)
            return self._put(Path(private.name), name)

    def _put(self, source: Path, name: str) -> bool:
        self._probe()
        with self._foreign(name), self._locked(), source.open("rb") as stream:
            if self._system().exists(self._path(name)):
                return False
            try:
                self._system().put_file(str(source), self._path(name), mode="create")
            except FileExistsError:
                part = partial(os.pread, stream.fileno(), _CHUNK)
                return self._mine(name, source.stat().st_size, part)
        return True

    def create_from(self, name: str, pieces: Iterable[bytes]) -> bool:
        with tempfile.NamedTemporaryFile(prefix=TEMPORARY) as aside:
            aside.writelines(pieces)
            aside.flush()
            return self.copy_in(Path(aside.name), name, None)

    def copy_out(self, name: str, target: Path) -> None:
        def fill(descriptor: int) -> None:
            with self._foreign(name), self._system().open(self._path(name), "rb") as stream:
                while data := stream.read(_CHUNK):
                    os.write(descriptor, data)

        replace_file(target, fill)

    def _path(self, name: str) -> str:
        return f"{self.uri}/{name}" if name else self.uri

    def _locked(self) -> Any:
        return _MEMORY_LOCK if self._kind == "memory" else threading.Lock()

    def _system(self) -> Any:
        # An async filesystem's loop is gone after a fork: one object per process.
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = os.getpid(), _filesystem(self._kind)
        return self._opened[1]

    def _mine(self, name: str, size: int, part: Callable[[int], bytes]) -> bool:
        """A client that repeats its request meets its own object: equal content means that this call made it."""
        with self._system().open(self._path(name), "rb") as stream:
            if stream.seek(0, os.SEEK_END) != size:
                return False
            stream.seek(0)
            return all(stream.read(len(part(start))) == part(start) for start in range(0, size, _CHUNK))

    def _probe(self) -> None:
        if self._probed:
            return
        with self._foreign(_PROBE):
            for _attempt in range(2):
                try:
                    self._system().pipe_file(self._path(_PROBE), secrets.token_bytes(16), mode="create")
                except FileExistsError:
                    self._probed = True
                    return
        raise StoreError(
            f"{self.uri} made one name twice although asked not to; use a store with conditional writes."
        )

    @contextmanager
    def _foreign(self, name: str) -> Iterator[None]:
        try:
            yield
        except (OSError, StoreError):
            raise
        except Exception as error:  # client libraries raise trees of their own; here they become ours
            what = f"{type(error).__name__}: {error}".splitlines()[0]
            raise StoreError(
                f"{self._path(name)} can't be reached ({what}); check address and credentials."
            ) from error


def _slice(data: bytes, start: int) -> bytes:
    return data[start : start + _CHUNK]


def _filesystem(kind: str) -> Any:
    package = _PACKAGES.get(kind, "fsspec")
    try:
        import fsspec  # type: ignore[import-untyped,unused-ignore]

        if kind == "memory":
            return fsspec.filesystem("memory")
        system = fsspec.filesystem(kind, use_listings_cache=False, skip_instance_cache=True)
    except ImportError as error:
        raise ConfigurationError(
            f"A run store on {kind}:// needs a missing package ({error}); install it with `pip install '{package}'`."
        ) from error
    if "mode" not in inspect.signature(getattr(system, "_pipe_file", system.pipe_file)).parameters:
        raise ConfigurationError(
            f"The package for {kind}:// here can't create files exclusively; upgrade it: `pip install -U '{package}'`."
        )
    return system


def _refuse_credentials(uri: str) -> None:
    kind, _, rest = uri.partition("://")
    host = rest.partition("/")[0]
    user, at, _address = host.rpartition("@")
    odd_port = not at and ":" in host and not host.rpartition(":")[2].isdecimal()
    if (at and (":" in user or kind not in ("abfs", "abfss"))) or odd_port or urlsplit(uri).query:
        raise ConfigurationError(
            f"The run store's {kind}:// URI holds credentials or a query, which would travel through XCom and logs;"
            " leave them out and give them by environment, profile or connection."
        )


def _modified(facts: dict[str, Any]) -> float:
    for key in ("mtime", "LastModified", "last_modified", "updated", "created"):
        value = facts.get(key)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, (int, float)):
            return float(value)
        if isinstance(value, str):
            return datetime.fromisoformat(value).timestamp()
    return 0.0
