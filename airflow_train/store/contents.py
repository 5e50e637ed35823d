"""Contents of files on their way into the store: read once where they are small, and never anything half changed."""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from airflow_train.store import layout
from airflow_train.store.files import Files
from airflow_train.store.local import ContentChanged

#: Up to this many bytes are held in memory.
SMALL = 1 << 20
_FLAGS = (
    os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
)  # neither a link nor a pipe that came meanwhile


@dataclass(frozen=True, slots=True)
class Content:
    """A file as it was read; `facts` as `source_tree` remembers them, `moved` the bytes new in the store."""

    digest: str
    facts: tuple[int, int, int, int, int]
    moved: int


def put(files: Files, path: str) -> Content:
    """Makes sure that the content of a local file is in the store.

    :raises ContentChanged: twice, the file changed while it was read.
    :raises OSError: it can't be read.
    """
    with suppress(ContentChanged):
        return _put(files, path)
    return _put(files, path)


def look(path: str) -> Content:
    """The same of a file that isn't to be moved.

    :raises ContentChanged, OSError: as `put`.
    """
    with suppress(ContentChanged):
        return _read(path)[0]
    return _read(path)[0]


def _put(files: Files, path: str) -> Content:
    content, data = _read(path)
    size, blob = content.facts[2], layout.blob(content.digest)
    found = files.size(blob)
    if found == size:
        return content
    if found is not None:  # lost its content with the power, say; content can't be wrong otherwise
        files.delete(blob)
    made = files.copy_in(Path(path), blob, content.digest) if data is None else files.create(blob, data)
    return replace(content, moved=size if made else 0)


def _read(path: str) -> tuple[Content, bytes | None]:
    """A file as it is, and its bytes where they are few."""
    with open(os.open(path, _FLAGS), "rb") as stream:
        before = _facts(stream.fileno())
        if not stat.S_ISREG(before[0]):
            raise ContentChanged(f"{path} is no file any more.")
        size = before[2]
        small = size <= SMALL
        data = stream.read(SMALL + 1) if small else b""
        digest = (hashlib.sha256(data) if small else hashlib.file_digest(stream, "sha256")).hexdigest()
        if _facts(stream.fileno()) != before or (small and len(data) != size):
            raise ContentChanged(f"{path} changed while it was read.")
    return Content(digest, before, 0), data if small else None


def _facts(descriptor: int) -> tuple[int, int, int, int, int]:
    found = os.fstat(descriptor)
    return found.st_mode, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
