"""Files and reports of several nodes become a run's: node 0's stand, others' of the same name lie beside them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import IO, Any

from airflow_train.store import arriving
from airflow_train.store.files import Files

_CHUNK = 1 << 20


class Beside:
    """Takes the files of one node where those of others are, maybe of the same names.

    The same can be taken again: what is there already with the same content keeps its name.
    """

    def __init__(self, files: Files, folder: str) -> None:
        self._files, self._folder = files, folder
        #: Second versions, by their names below `files`.
        self.conflicts: list[str] = []
        #: name → what it has become here
        self._names: dict[str, str] = {}

    def take(self, door: arriving.Door, name: str, size: int, pieces: Iterable[bytes], first: str) -> None:
        """Keep a file under its name or one beside it.

        :param first: the file of the same node of which this is a second name; empty for one that brings its content.
        """
        if first:
            if not self._there(name):  # its content has come home once, in any case
                door.again(self._names.get(first, first), name)
        elif not self._there(name):
            door.file(name, size, pieces)
        else:
            self._compare(door, name, size, pieces)

    def _there(self, name: str) -> bool:
        return self._files.exists(f"{self._folder}/{name}")

    def _compare(self, door: arriving.Door, name: str, size: int, pieces: Iterable[bytes]) -> None:
        with tempfile.SpooledTemporaryFile(_CHUNK) as content:
            for piece in pieces:
                content.write(piece)
            for candidate in _candidates(name):
                if not self._there(candidate):
                    door.file(candidate, size, _pieces(content))
                elif not self._same(candidate, size, content):
                    continue
                if candidate != name:
                    self._names[name] = candidate
                    self.conflicts.append(candidate.partition("/")[2])
                return

    def _same(self, name: str, size: int, content: IO[bytes]) -> bool:
        whole = f"{self._folder}/{name}"
        if self._files.size(whole) != size:
            return False
        at = 0
        for piece in _pieces(content):
            if self._files.read_range(whole, at, len(piece)) != piece:
                return False
            at += len(piece)
        return True


def _candidates(name: str) -> Iterator[str]:
    yield name
    for number in count(1):
        yield f"{name}.conflict-{number}"


def _pieces(content: IO[bytes]) -> Iterator[bytes]:
    content.seek(0)
    while piece := content.read(_CHUNK):
        yield piece


def with_conflicts(report: bytes, conflicts: Sequence[str]) -> bytes:
    """A node's report with the names of what has come to lie beside other nodes' files."""
    said = json.loads(report)
    return json.dumps({**said, "conflicts": [*said.get("conflicts", []), *conflicts]}).encode()


def merged(report: bytes, others: Iterable[tuple[int, bytes | None]]) -> bytes:
    """Node 0's report with what the others have to add; None of one that has left none."""
    said: dict[str, Any] = json.loads(report)
    for node, content in others:
        if content is None:
            missing = f"what node {node} had left was removed from outside before it was collected"
            said["error"] = said["error"] or missing
            continue
        other: Mapping[str, Any] = json.loads(content)
        said["outputs"] = said.get("outputs", 0) + other.get("outputs", 0)
        for part in ("conflicts", "left"):
            said[part] = [*said.get(part, []), *other.get(part, [])]
        if said["error"] is None and other["error"]:
            said["error"] = f"on node {node} {other['error']}"
        if said.get("memory") and other.get("memory"):
            said["memory"]["peak_bytes"].update(other["memory"]["peak_bytes"])
    return json.dumps(said).encode()
