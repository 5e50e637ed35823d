"""What the last snapshot of a source directory saw, so that the next one reads changed files only.

It only makes things faster: lost, damaged or foreign, it is as if there were none. Kept per source directory, store and
Python version in `$XDG_CACHE_HOME/airflow-train/snapshots` (`~/.cache/…`), removed after 30 days without use.
"""

from __future__ import annotations

import hashlib
import marshal
import os
import sys
import threading
import time
import zlib
from contextlib import suppress
from pathlib import Path

from airflow_train.store.source_tree import Folder

_MAGIC = b"airflow-train snapshot cache 1\n"
_KEPT_SECONDS = 30 * 86400


class StatCache:
    """The remembered folders of one source directory as `id`'s snapshot had them."""

    def __init__(self, source: str, store: str) -> None:
        key = hashlib.sha256(os.fsencode(f"{source}\0{store}")).hexdigest()[:32]
        folder = _folder()
        self._path = None if folder is None else folder / f"{key}.{sys.implementation.cache_tag}"
        #: Snapshot that was complete in the store; "" when nothing is known.
        self.id = ""
        self.folders: dict[str, Folder] = {}

    def load(self) -> None:
        """Reads what is known; nothing, if that can't be read."""
        if self._path is None:
            return
        try:
            if self._path.stat().st_uid != os.geteuid():
                return
            content = self._path.read_bytes()
            start = len(_MAGIC) + 4
            payload = memoryview(content)[start:]
            if content[:start] != _head(payload):
                return
            snapshot, folders = marshal.loads(payload)  # noqa: S302 - our own file, whole by its checksum
            self.folders = {facts[0]: Folder(*facts) for facts in folders}
            self.id = snapshot
        except (OSError, ValueError, EOFError, TypeError):
            self.forget()

    def forget(self) -> None:
        """Trusts nothing of what was read."""
        self.id, self.folders = "", {}

    def save(self, snapshot: str, folders: list[Folder]) -> None:
        """Replaces what is known; where that can't be written nothing is kept."""
        if self._path is None:
            return
        payload = marshal.dumps((snapshot, [folder.remembered() for folder in folders]))
        temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}-{threading.get_ident()}")
        with suppress(OSError):
            if not self._path.exists():
                self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                _remove_old(self._path.parent)
            try:
                with temporary.open("wb") as stream:
                    stream.write(_head(payload))
                    stream.write(payload)
                temporary.replace(self._path)
            except OSError:
                temporary.unlink(missing_ok=True)
                raise


def _head(payload: bytes | memoryview) -> bytes:
    return _MAGIC + zlib.crc32(payload).to_bytes(4, "big")


def _folder() -> Path | None:
    base = os.environ.get("XDG_CACHE_HOME") or ""
    if not base.startswith("/"):
        try:
            base = str(Path.home() / ".cache")
        except RuntimeError:
            return None
    return Path(base, "airflow-train", "snapshots")


def _remove_old(folder: Path) -> None:
    oldest = time.time() - _KEPT_SECONDS
    for entry in os.scandir(folder):
        with suppress(FileNotFoundError):
            if entry.stat(follow_symlinks=False).st_mtime < oldest:
                os.unlink(entry.path)
