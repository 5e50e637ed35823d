"""Output of all ranks as it comes: one place in every rank's log, lines in the order of their own times."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import NamedTuple

from airflow_train.store import layout
from airflow_train.store.run_store import RunStore

#: Most bytes of one rank that one look takes.
PIECE = 4 << 20


class LogLine(NamedTuple):
    """One line of a rank: when the runtime received it (ISO 8601, UTC) and its text."""

    rank: int
    time: str
    text: str


class Follower:
    """Reads on from where the last `poll` ended."""

    def __init__(self, store: RunStore, run_id: str, rank: int | None = None) -> None:
        self._store, self._run_id, self._only = store, run_id, rank
        self._positions: dict[int, int] = {}

    def poll(self, last: bool = False) -> list[LogLine]:
        """Whole lines that have come since; `last` also gives a line that has no end."""
        return list(
            heapq.merge(*(self._new(rank, last) for rank in self._ranks()), key=lambda line: line.time)
        )

    def drain(self) -> Iterator[LogLine]:
        """All that is left when the run has ended."""
        while lines := self.poll():
            yield from lines
        yield from self.poll(last=True)

    def _ranks(self) -> list[int]:
        names = self._store.files.list(layout.user_logs(self._run_id))
        ranks = sorted(int(name[16:-4]) for name in names if name.startswith("std_log_process_"))
        return ranks if self._only is None else [rank for rank in ranks if rank == self._only]

    def _new(self, rank: int, last: bool) -> list[LogLine]:
        position = self._positions.get(rank, 0)
        data = self._store.files.read_range(layout.rank_log(self._run_id, rank), position, PIECE)
        end = len(data) if last or (len(data) == PIECE and b"\n" not in data) else data.rfind(b"\n") + 1
        self._positions[rank] = position + end
        return [parse(rank, line) for line in data[:end].decode("utf-8", "replace").split("\n") if line]


def parse(rank: int, line: str) -> LogLine:
    """A stored line, `<time> <text>`; of a progress bar only what it showed last."""
    time, _, text = line.partition(" ")
    text = text.rstrip("\r")
    return LogLine(rank, time, text[text.rfind("\r") + 1 :])
