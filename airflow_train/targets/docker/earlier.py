"""Files of earlier runs on their way into a container: what lies in the run store, or at a path of this machine.

Links are followed, and a folder that has several names comes once and is linked by the others, as the local target
does it (`runtime/checkpoints.py`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import NamedTuple

from airflow_train.store.run_store import RunStore

_CHUNK = 1 << 20
#: Gives what a file holds from a position on, a piece at a time.
Read = Callable[[int], bytes]


class Entry(NamedTuple):
    """A folder, or with `read` a file, or with `link` a link; `name` is empty for the source itself."""

    name: str
    size: int = 0
    read: Callable[[], AbstractContextManager[Read]] | None = None
    link: str | None = None


def entries(store: RunStore, source: str) -> Iterator[Entry]:
    """What lies at a source, folders before what is in them.

    :param source: an absolute path, or a name in the run store.
    :raises OSError: there is nothing, or it can't be read.
    """
    return _of_machine(source) if os.path.isabs(source) else _of_store(store, source)


def _of_store(store: RunStore, source: str) -> Iterator[Entry]:
    above, _, base = source.rpartition("/")
    beside = [(name, size) for name, size, _ in store.files.walk(above) if name.split("/")[0] == base]
    if not beside:
        raise FileNotFoundError(2, "No such file or directory", source)
    if beside[0][0] == base:
        yield _stored(store, "", source, beside[0][1])
        return
    yield Entry("")
    folders = {""}
    for whole, size in beside:
        name = whole.removeprefix(f"{base}/")
        parts = name.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            folder = "/".join(parts[:depth])
            if folder not in folders:
                folders.add(folder)
                yield Entry(folder)
        yield _stored(store, name, f"{source}/{name}", size)


def _stored(store: RunStore, name: str, whole: str, size: int) -> Entry:
    def read(position: int) -> bytes:
        return store.files.read_range(whole, position, _CHUNK)

    return Entry(name, size, lambda: nullcontext(read))


def _of_machine(source: str) -> Iterator[Entry]:
    os.stat(source)
    if os.path.isfile(source):
        yield _lying("", source)
        return
    copies: dict[str, str] = {}
    for folder, below, names in os.walk(source, followlinks=True, onerror=_refuse):
        real, place = os.path.realpath(folder), os.path.relpath(folder, source)
        name = "" if place == "." else place
        if real in copies:
            yield Entry(name, link=os.path.relpath(copies[real] or ".", os.path.dirname(name) or "."))
            below[:] = []
            continue
        copies[real] = name
        yield Entry(name)
        for one in sorted(names):
            if os.path.isfile(os.path.join(folder, one)):
                yield _lying(os.path.join(name, one), os.path.join(folder, one))


def _refuse(error: OSError) -> None:
    raise error


def _lying(name: str, path: str) -> Entry:
    @contextmanager
    def opened() -> Iterator[Read]:
        with open(path, "rb") as file:
            yield lambda position: file.read(_CHUNK)

    return Entry(name, os.path.getsize(path), opened)
