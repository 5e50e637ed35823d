"""What grows in the run's folder, cut into segments for whoever looks from outside the container.

A segment is a file of the outbox, named by its number, written once: a line of JSON, `{"pieces": [[name, offset,
bytes], …]}`, then the bytes of all pieces. A piece with offset 0 begins its file anew. Whoever has taken the segments
up to number N home writes N into the file `ack`; only then are they removed. So no byte is lost or doubled, whoever
dies, and the volume holds little twice. Outputs don't travel here: they are fetched when the run has ended.
"""

from __future__ import annotations

import json
import os
import time

from airflow_train.runtime import protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

#: Most bytes of one segment.
SEGMENT = 4 << 20
#: Every so many segments that nobody has taken, the pause between two doubles, up to the longest (seconds).
_CROWD = 16
_LONGEST = 60.0
#: The pause is at least this many times what the last look for new bytes took.
_LEISURE = 20.0


class Outbox:
    """Writes segments of one node's growing files and of its records, as they come."""

    def __init__(self, folder: str, run_folder: str) -> None:
        self.folder, self.run_folder = folder, run_folder
        os.makedirs(folder, exist_ok=True)
        self._number = max((int(one) for one in os.listdir(folder) if one.isdigit()), default=0)
        self._taken = self._number
        #: path → inode and bytes that are in segments
        self._sent: dict[str, tuple[int, int]] = {}
        self._next = 0.0

    def ship(self, at_once: bool = False) -> None:
        """Write what is new into segments, if it is time to."""
        began = time.monotonic()
        if began < self._next and not at_once:
            return
        self._forget_taken()
        pieces: list[tuple[str, int, bytes]] = []
        room = SEGMENT
        for path in _growing(self.run_folder):
            for offset, data in self._new(path):
                if room < len(
                    data
                ):  # a record lies in one piece; files that grow come in chunks of this size
                    self._write(pieces)
                    pieces, room = [], SEGMENT
                pieces.append((os.path.relpath(path, self.run_folder), offset, data))
                room -= len(data)
        if pieces:
            self._write(pieces)
        pause = min(0.1 * 2 ** min((self._number - self._taken) // _CROWD, 10), _LONGEST)
        self._next = time.monotonic() + max(pause, _LEISURE * (time.monotonic() - began))

    def _new(self, path: str) -> Iterator[tuple[int, bytes]]:
        """What a file holds beyond what was sent, in bounded chunks with their offsets."""
        try:
            with open(path, "rb") as file:
                facts = os.fstat(file.fileno())
                inode, position = self._sent.get(path, (facts.st_ino, 0))
                if inode != facts.st_ino or facts.st_size < position:
                    position = 0
                file.seek(position)
                left = facts.st_size - position
                while left > 0:
                    data = file.read(min(left, SEGMENT))
                    if not data:
                        return
                    yield position, data
                    position, left = position + len(data), left - len(data)
                    self._sent[path] = (facts.st_ino, position)
        except FileNotFoundError:
            return  # removed meanwhile

    def _write(self, pieces: list[tuple[str, int, bytes]]) -> None:
        index = [[name, offset, len(data)] for name, offset, data in pieces]
        aside = os.path.join(self.folder, protocol.TEMPORARY + "segment")
        with open(aside, "wb") as file:
            file.write(json.dumps({"pieces": index}).encode() + b"\n")
            for _, _, data in pieces:
                file.write(data)
        self._number += 1
        os.replace(aside, os.path.join(self.folder, protocol.segment(self._number)))

    def _forget_taken(self) -> None:
        try:
            with open(os.path.join(self.folder, protocol.ACK_FILE)) as file:
                taken = min(int(file.read() or 0), self._number)
        except (FileNotFoundError, ValueError):  # being written
            return
        for number in range(self._taken + 1, taken + 1):
            os.unlink(os.path.join(self.folder, protocol.segment(number)))
            self._taken = number


def _growing(run_folder: str) -> Iterator[str]:
    """Records first: who sees the end of a rank's log may see its exit record too."""
    for name in (protocol.EVENTS_FOLDER, "ranks", "registrations", "children", "metrics", "system_metrics"):
        yield from _below(os.path.join(run_folder, name))
    for name in os.listdir(run_folder):
        if name.startswith("node_"):
            yield os.path.join(run_folder, name, protocol.STOP_FILE)
    for name in ("user_logs", protocol.LOGS_FOLDER, "system_logs"):
        yield from _below(os.path.join(run_folder, protocol.FILES_FOLDER, name))


def _below(folder: str) -> Iterator[str]:
    for place, subfolders, names in os.walk(folder):
        subfolders.sort()
        for name in sorted(names):
            path = os.path.join(place, name)
            if not name.startswith(protocol.TEMPORARY) and not os.path.islink(path):
                yield path
