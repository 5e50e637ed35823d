"""`./logs` of a script that has secrets: copied into the run's files like all logs, with the secrets hidden."""

from __future__ import annotations

import os
from typing import Any

from airflow_train.runtime import handed, protocol
from airflow_train.runtime.collecting import PIECE, LogMirror
from airflow_train.runtime.redaction import Redactor, Stream


def mirror(launch: dict[str, Any], source: str, target: str) -> LogMirror:
    """What copies the logs of this run."""
    if handed.unknown(launch):
        return WithheldMirror(source, target)
    hide = handed.redactor(launch)
    return LogMirror(source, target) if hide is None else RedactingMirror(source, target, hide)


class WithheldMirror(LogMirror):
    """Copies nothing: whoever collects in place of a dead supervisor can't read the secrets, so can't hide them."""

    def sync(self, whole: bool = False) -> None:
        """Say so, if there is something to copy."""
        left = [name for _, _, names in os.walk(self.source) for name in names if not name.startswith(".")]
        if whole and left:
            words = "%d files of ./logs are not copied: who doesn't know the run's secrets can't hide them"
            print(protocol.timestamp(), words % len(left), flush=True)


class _Copy:
    """How far the copy of one file has come."""

    def __init__(self, inode: int, target: str, stream: Stream, skip: int) -> None:
        self.inode, self.target, self.stream = inode, target, stream
        #: Bytes of the source that were read, and of the copy that a dead supervisor has written already.
        self.position, self.skip = 0, skip


class RedactingMirror(LogMirror):
    """A `LogMirror` that hides secrets on the way."""

    def __init__(self, source: str, target: str, hide: Redactor) -> None:
        super().__init__(source, target)
        self._hide = hide
        self._copies: dict[str, _Copy] = {}

    def _copy_new(self, path: str, whole: bool) -> None:
        with open(path, "rb") as source:
            facts = os.fstat(source.fileno())
            copy = self._copies.get(path)
            if copy is None:
                copy = _Copy(facts.st_ino, *self._resumed(path))
            elif copy.inode != facts.st_ino or facts.st_size < copy.position:
                copy = _Copy(facts.st_ino, copy.target, self._hide.stream(), 0)
                open(copy.target, "wb").close()
            self._copies[path] = copy
            left = facts.st_size - copy.position
            left = left if whole else min(left, PIECE)
            source.seek(copy.position)
            while left > 0:
                chunk = source.read(min(left, 1 << 20))
                if not chunk:
                    break
                self._write(copy, copy.stream.feed(chunk))
                copy.position += len(chunk)
                self.copied += len(chunk)
                left -= len(chunk)
            if whole:
                self._write(copy, copy.stream.feed(b"", last=True))

    def _write(self, copy: _Copy, data: bytes) -> None:
        skipped = min(copy.skip, len(data))
        copy.skip -= skipped
        if data[skipped:]:
            with open(copy.target, "ab") as file:
                file.write(data[skipped:])

    def _resumed(self, path: str) -> tuple[str, Stream, int]:
        """Where to copy to, a fresh stream, and how much a dead one has copied; like `LogMirror._begin`."""
        target = os.path.join(self.target, self._hide.text(os.path.relpath(path, self.source)))
        number = 0
        while True:
            candidate = target if number == 0 else "%s.conflict-%d" % (target, number)
            os.makedirs(os.path.dirname(candidate), exist_ok=True)
            if not os.path.lexists(candidate):
                return candidate, self._hide.stream(), 0
            if os.path.isfile(candidate) and self._shown_starts_with(path, candidate):
                return candidate, self._hide.stream(), os.path.getsize(candidate)
            number += 1

    def _shown_starts_with(self, path: str, beginning: str) -> bool:
        """Is a file the beginning of what is shown of another?"""
        stream = self._hide.stream()
        with open(path, "rb") as source, open(beginning, "rb") as copy:
            while True:
                chunk = source.read(1 << 20)
                shown = stream.feed(chunk, last=not chunk)
                part = copy.read(len(shown))
                if shown[: len(part)] != part or not chunk:
                    return shown[: len(part)] == part and not copy.read(1)
                if len(part) < len(shown):
                    return True
