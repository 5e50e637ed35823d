"""Files and reports of several nodes become a run's: node 0's stand, others' of the same name lie beside them."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import IO, Any

from airflow_train.store import arriving
from airflow_train.store.files import Files

_CHUNK = 1 << 20
#: Most bytes of a file's own name, as file systems have it.
_LONGEST = 255


class Beside:
    """Takes the files of one node where those of others are, maybe of the same names.

    The same can be taken again: what is there already with the same content keeps its name.
    """

    def __init__(self, files: Files, folder: str) -> None:
        self._files, self._folder = files, folder
        #: Second versions, files and folders, by their names below `files`.
        self.conflicts: list[str] = []
        #: name → what it has become here
        self._names: dict[str, str] = {}
        self._folders: dict[str, str] = {"": ""}

    def folder(self, door: arriving.Door, name: str) -> None:
        """Keep an empty folder."""
        door.folder(self._folder_for(name))

    def take(self, door: arriving.Door, name: str, size: int, pieces: Iterable[bytes], first: str) -> None:
        """Keep a file under its name or one beside it.

        :param first: the file of the same node of which this is a second name; empty for one that brings its content.
        """
        above, _, last = name.rpartition("/")
        place = f"{self._folder_for(above)}/{last}"
        if first:
            if not self._there(place):  # its content has come home once, in any case
                door.again(self._names.get(first, first), place)
                self._names[name] = place
        elif not self._there(place):
            door.file(place, size, pieces)
            self._names[name] = place
        else:
            self._compare(door, name, place, size, pieces)

    def _there(self, name: str) -> bool:
        return self._files.exists(f"{self._folder}/{name}")

    def _is_folder(self, name: str) -> bool:
        """A store that isn't local has none: there, files may lie below the name of a file."""
        root = self._files.local_root
        return root is None or root.joinpath(self._folder, name).is_dir()

    def _folder_for(self, name: str) -> str:
        """The folder of that name, or one beside a file that has it."""
        found = self._folders.get(name)
        if found is None:
            above, _, last = name.rpartition("/")
            whole = f"{self._folder_for(above)}/{last}".lstrip("/")
            found = next(one for one in _candidates(whole) if not self._there(one) or self._is_folder(one))
            self._folders[name] = found
            if found != whole:
                self.conflicts.append(found.partition("/")[2])
        return found

    def _compare(
        self, door: arriving.Door, name: str, place: str, size: int, pieces: Iterable[bytes]
    ) -> None:
        with tempfile.SpooledTemporaryFile(_CHUNK) as content:
            for piece in pieces:
                content.write(piece)
            for candidate in _candidates(place):
                if not self._there(candidate):
                    door.file(candidate, size, _pieces(content))
                elif not self._same(candidate, size, content):
                    continue
                self._names[name] = candidate
                if candidate != place:
                    self.conflicts.append(candidate.partition("/")[2])
                return

    def _same(self, name: str, size: int, content: IO[bytes]) -> bool:
        whole = f"{self._folder}/{name}"
        if self._files.local_root is not None and self._is_folder(name):
            return False
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
    folder, slash, last = name.rpartition("/")
    for number in count(1):
        suffix, stem = f".conflict-{number}", last
        while len(os.fsencode(stem)) + len(suffix) > _LONGEST:
            stem = stem[:-1]
        yield f"{folder}{slash}{stem}{suffix}"


def _pieces(content: IO[bytes]) -> Iterator[bytes]:
    content.seek(0)
    while piece := content.read(_CHUNK):
        yield piece


def with_more(report: bytes, conflicts: Sequence[str], left: Sequence[str]) -> bytes:
    """A node's report with what happened on the way home.

    :param conflicts: what has come to lie beside other nodes' files.
    :param left: half sentences on what has found no place.
    """
    if not conflicts and not left:
        return report
    said = json.loads(report)
    return json.dumps(
        {**said, "conflicts": [*said["conflicts"], *conflicts], "left": [*said["left"], *left]}
    ).encode()


def merged(report: bytes, others: Iterable[tuple[int, bytes | str]]) -> bytes:
    """Node 0's report with what the others have to add.

    :param others: number of a node and its report, or half a sentence on why there is none.
    """
    said: dict[str, Any] = json.loads(report)
    said["beside"] = {}
    for node, content in others:
        if isinstance(content, str):
            said["error"] = said["error"] or content
            continue
        other: Mapping[str, Any] = json.loads(content)
        said["outputs"] += other["outputs"]
        said["beside"].update({name: node for name in other["conflicts"] if name not in said["conflicts"]})
        for part in ("conflicts", "left"):
            said[part] = list(dict.fromkeys([*said[part], *other[part]]))
        if said["error"] is None and other["error"]:
            said["error"] = f"on node {node} {other['error']}"
        if said["memory"] and other["memory"]:
            said["memory"]["peak_bytes"].update(other["memory"]["peak_bytes"])
    return json.dumps(said).encode()
