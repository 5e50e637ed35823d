"""Files of a run that are still growing elsewhere, as far as they have come: the segments of `runtime/channel.py`.

Segments are kept as they arrived, created exclusively under their numbers, so that any number of lookers may bring the
same one. Once the run has ended its files are there as a whole, and the segments go.

    live = Live(store.files, run_id)
    live.read("files/user_logs/std_log_process_0.txt", offset=0)
"""

from __future__ import annotations

import json
from bisect import bisect_right
from typing import NamedTuple

from airflow_train.store import layout
from airflow_train.store.files import Files

#: Where the line with the pieces usually ends; bytes.
_HEAD = 4096


class _Piece(NamedTuple):
    offset: int
    size: int
    node: int
    segment: int
    #: Where its bytes begin in the segment.
    at: int


class Live:
    """The files of one run, whole or growing; remembers the segments that it has seen."""

    def __init__(self, files: Files, run_id: str) -> None:
        self._files, self._run_id = files, run_id
        self._pieces: dict[str, list[_Piece]] = {}
        #: node → number of the last segment that was seen
        self._seen: dict[int, int] = {}

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Bytes of a file from `offset` on, `length` at most, as far as they have come; empty when there are none.

        :param name: below the folder of the run.
        """
        whole = f"{layout.run(self._run_id)}/{name}"
        try:
            return self._files.read_range(whole, offset, length)
        except FileNotFoundError:
            pass
        self._look()
        found = b""
        try:
            while length is None or len(found) < length:
                more = self._read_piece(name, offset + len(found), length and length - len(found))
                if not more:
                    break
                found += more
        except FileNotFoundError:  # the run has ended meanwhile
            return self._files.read_range(whole, offset, length) if self._files.exists(whole) else found
        return found

    def _read_piece(self, name: str, offset: int, length: int | None) -> bytes:
        pieces = self._pieces.get(name, [])
        index = bisect_right(pieces, offset, key=lambda piece: piece.offset) - 1
        if index < 0:
            return b""
        piece = pieces[index]
        skip = offset - piece.offset
        if skip >= piece.size:
            return b""
        left = piece.size - skip
        segment = f"{layout.outbox(self._run_id, piece.node)}/{layout.segment(piece.segment)}"
        return self._files.read_range(segment, piece.at + skip, left if length is None else min(left, length))

    def sizes(self, below: str) -> dict[str, int]:
        """Names (below the folder of the run) and bytes of the files below a folder that are growing."""
        self._look()
        prefix = f"{below}/" if below else ""
        return {
            name: pieces[-1].offset + pieces[-1].size
            for name, pieces in sorted(self._pieces.items())
            if name.startswith(prefix)
        }

    def _look(self) -> None:
        """Take note of segments that have come, in their order and without gaps."""
        if not self._seen:
            spec = self._files.read_json_or_none(layout.spec(self._run_id))
            self._seen = dict.fromkeys(range(spec["job"]["node_count"] if spec else 1), 0)
        for node in self._seen:
            for number in segments(self._files, self._run_id, node):
                if number == self._seen[node] + 1:
                    try:
                        self._note(node, number)
                    except FileNotFoundError:  # the run has ended meanwhile
                        return
                    self._seen[node] = number

    def _note(self, node: int, number: int) -> None:
        name = f"{layout.outbox(self._run_id, node)}/{layout.segment(number)}"
        head = self._files.read_range(name, 0, _HEAD)
        if b"\n" not in head:
            head = self._files.read(name)
        line, _, _ = head.partition(b"\n")
        at = len(line) + 1
        for file, offset, size in json.loads(line)["pieces"]:
            pieces = self._pieces.setdefault(file, [])
            if offset == 0 and pieces and pieces[-1].node == node:
                pieces.clear()
            # where two nodes write files of one name, the first one's is shown as long as they grow
            if not pieces or (pieces[-1].node == node and pieces[-1].offset + pieces[-1].size == offset):
                pieces.append(_Piece(offset, size, node, number, at))
            at += size


def segments(files: Files, run_id: str, node: int = 0) -> list[int]:
    """Numbers of the segments that have come, ascending."""
    return sorted(int(name) for name in files.list(layout.outbox(run_id, node)) if name.isdecimal())
