"""All virtual environments of this machine: what there is, since when nobody has used it, and an end for it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from airflow_train.environments.virtualenv import FACTS, remove
from airflow_train.exceptions import StoreError

#: What else lies in the folder is somebody's own.
_KEY = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Shelved:
    """What there is of one key."""

    key: str
    path: Path
    #: Was it built? Otherwise it is what failed or killed builders left.
    whole: bool
    #: On disk.
    bytes: int
    #: Seconds since a run has used it.
    idle: float
    in_use: bool


def shelved(folder: Path) -> Iterator[Shelved]:
    """Everything in a folder of environments, by key."""
    names = {*_names(folder / "locks"), *_names(folder / "builders")}
    for key in sorted(filter(_KEY.fullmatch, names)):
        path, builds = folder / key, list((folder / "builds").glob(f"{key}-*"))
        lock = folder / "locks" / key
        last = lock if lock.exists() else folder / "builders" / key
        yield Shelved(
            key=key,
            path=path,
            whole=(path / FACTS).exists(),
            bytes=sum(map(_size, builds)),
            idle=max(0.0, time.time() - _modified(last)),
            in_use=not _free(lock),
        )


def forget(folder: Path, key: str) -> bool:
    """Remove everything of a key; False when a run uses it.

    :raises StoreError: this user may not.
    """
    lock = folder / "locks" / key
    try:
        with _alone(lock) as free:
            if not free:
                return False
            (folder / key).unlink(missing_ok=True)
            for build in (folder / "builds").glob(f"{key}-*"):
                remove(build)
            remove(folder / "builders" / key)
            lock.unlink(
                missing_ok=True
            )  # who waits for it sees that it is another's, and makes one of its own
    except OSError as error:
        raise StoreError(
            f"the environment {folder / key} can't be removed: {error.strerror or error}; look at its permissions."
        ) from error
    return True


def _free(lock: Path) -> bool:
    if not lock.exists():
        return True
    with contextlib.suppress(OSError), _alone(lock) as free:
        return free
    return False


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[bool]:
    """Inside, no run begins to use the environment; False when one does already."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield lock.exists() and os.path.samestat(lock.stat(), os.fstat(descriptor))
    finally:
        os.close(descriptor)


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()


def _size(folder: Path) -> int:
    """Bytes below a folder; files that it shares with others, as uv's cache, count."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_size
    return total
