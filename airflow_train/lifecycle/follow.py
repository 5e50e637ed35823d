"""Output of all ranks as it comes: one place in every rank's log, lines in the order of their own times.

What builds a run's environment before its ranks start is heard as one of them, whose number is `BUILD`.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator
from typing import NamedTuple

from airflow_train.runtime import protocol
from airflow_train.store import layout
from airflow_train.store.live import Live
from airflow_train.store.run_store import RunStore

#: Most bytes of one rank that one look takes.
PIECE = 4 << 20
#: Below the folder of the run.
USER_LOGS = f"{protocol.FILES_FOLDER}/user_logs"
#: `rank` of lines that a builder of the run's environment has said.
BUILD = -1
_RANK_LOG = re.compile(r"std_log_process_(\d+)\.txt")


class LogLine(NamedTuple):
    """One line of a rank: when the runtime received it (ISO 8601, UTC) and its text."""

    rank: int
    time: str
    text: str
    #: Where the rank is; None where the run has one node.
    node: int | None = None

    @property
    def speaker(self) -> str:
        """Who said it, for people: the number of the rank, with its node where there are several, or `build`."""
        if self.rank == BUILD:
            return "build"
        return str(self.rank) if self.node is None else f"node {self.node} rank {self.rank}"


class Follower:
    """Reads on from where the last `poll` ended: lines of all ranks, of one, or of those of one node."""

    def __init__(
        self, store: RunStore, run_id: str, rank: int | None = None, node: int | None = None
    ) -> None:
        self._store, self._run_id, self._only, self._only_node = store, run_id, rank, node
        #: Rank → its node, as far as it has been asked.
        self._nodes: dict[int, int] = {}
        self._several: bool | None = None
        self._live = Live(store.files, run_id)
        self._positions: dict[int, int] = {}
        self._met_ranks = False
        #: Rank → time of a line of which only the beginning has been shown.
        self._open: dict[int, str] = {}

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
        names = set(self._store.files.list(layout.user_logs(self._run_id)))
        names |= {name.rpartition("/")[2] for name in self._live.sizes(USER_LOGS)}
        ranks = sorted(int(found[1]) for name in names if (found := _RANK_LOG.fullmatch(name)))
        if self._only_node is not None:
            return [rank for rank in ranks if (self._node(rank) or 0) == self._only_node]
        if self._only is not None:
            return [rank for rank in ranks if rank == self._only]
        if not self._met_ranks and self._store.files.exists(layout.build_log(self._run_id)):
            self._positions.setdefault(BUILD, 0)
        self._met_ranks = bool(ranks)  # what is built is built before they start
        return [*([BUILD] if BUILD in self._positions else ()), *ranks]

    def _node(self, rank: int) -> int | None:
        """Where a rank is, which its start record says; None where the run has one node."""
        if self._several is None:
            spec = self._store.files.read_json_or_none(layout.spec(self._run_id))
            self._several = spec is not None and spec["job"]["node_count"] > 1
        if not self._several or rank == BUILD:
            return None
        if rank not in self._nodes:
            started = self._store.files.read_json_or_none(layout.rank_start(self._run_id, rank))
            if started is None:
                return None
            self._nodes[rank] = int(started["node"])
        return self._nodes[rank]

    def _new(self, rank: int, last: bool) -> list[LogLine]:
        position = self._positions.get(rank, 0)
        name = protocol.BUILD_LOG if rank == BUILD else protocol.rank_log(rank)
        data = self._live.read(name, position, PIECE)
        end = data.rfind(b"\n") + 1
        torn = end == 0 and len(data) == PIECE  # a line that is longer than a piece is shown in pieces
        if torn or last:
            end = _whole_letters(data) if torn else len(data)
        self._positions[rank] = position + end
        lines = data[:end].decode("utf-8", "replace").split("\n")
        found, node = [], self._node(rank) if end else None
        if rank in self._open and end:  # the rest of such a line has no time of its own
            found.append(LogLine(rank, self._open.pop(rank), _shown(lines.pop(0)), node))
        found += [parse(rank, line, node) for line in lines if line]
        if torn:
            self._open[rank] = found[-1].time
        return found


def _whole_letters(data: bytes) -> int:
    """Length without the first bytes of a UTF-8 letter that is cut off at the end."""
    for back in range(1, min(4, len(data)) + 1):
        if data[-back] & 0xC0 != 0x80:
            return len(data) - back if data[-back] >= 0xC0 else len(data)
    return len(data)


def parse(rank: int, line: str, node: int | None = None) -> LogLine:
    """A stored line, `<time> <text>`; of a progress bar only what it showed last."""
    time, _, text = line.partition(" ")
    return LogLine(rank, time, _shown(text), node)


def _shown(text: str) -> str:
    text = text.rstrip("\r")
    return text[text.rfind("\r") + 1 :]
