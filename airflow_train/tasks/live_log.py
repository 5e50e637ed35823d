"""The task log's view of all ranks: live, batched and bounded. Everything is in the run store; this is to look at.

Airflow's UI loads the whole log again and again, and one event per line is slow. So up to 50 lines make one event, a
rank writes a partial event at most once a second, and the whole keeps to a budget: the head in full, then a sample that
thins out as the run goes on, and the last lines at the end.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from airflow_train.lifecycle.follow import Follower, LogLine
from airflow_train.lifecycle.observe import View
from airflow_train.store.run_store import RunStore

LINES_PER_EVENT = 50
BYTES_PER_EVENT = 16_000
#: Seconds between two partial events of a rank.
INTERVAL = 1.0
#: Most bytes of a run's output in one task log.
MOST_BYTES = 2_000_000
#: How often the sample halves its density before its part of the budget is spent: enough for 100 million lines.
DOUBLINGS = 20
#: Most characters of one line.
WIDTH = 4_000

Emit = Callable[[int, str, str], object]


@dataclass
class Batch:
    """Lines of one rank that make the next event."""

    texts: list[str] = field(default_factory=list)
    size: int = 0
    time: str = ""
    written: float = float("-inf")


@dataclass
class Share:
    """A part of the budget."""

    lines: int
    size: int

    def take(self, size: int) -> bool:
        """Spend one line of `size` bytes; False when it doesn't fit any more."""
        if self.lines < 1 or self.size < size:
            self.lines = 0
            return False
        self.lines -= 1
        self.size -= size
        return True


class LiveLog:
    """Shows a run's output in the task log while the run goes on.

    :param lines: most lines shown.
    :param since: when this attempt began (ISO 8601, UTC); older lines are shown with this time.
    """

    def __init__(
        self,
        store: RunStore,
        run_id: str,
        *,
        lines: int,
        since: str = "",
        emit: Emit | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._follower = Follower(store, run_id)
        self._emit: Emit = emit or _to_task_log
        self._since, self._clock = since, clock
        self._head = Share(lines // 2, MOST_BYTES // 2)
        self._sample = Share(lines // 4, MOST_BYTES // 4)
        self._tail: deque[LogLine] = deque()
        self._tail_most = Share(lines // 4, MOST_BYTES // 4)
        self._tail_size = 0
        self._every = max(lines // 4 // DOUBLINGS, 1)
        self._seen: dict[int, int] = {}
        self._sampled = 0
        self._stride = 2
        self._batches: dict[int, Batch] = {}
        #: Lines that are in the run store only.
        self.hidden = 0

    def show(self, view: View | None = None) -> None:
        """Take what has come since the last call, and write what is due."""
        del view
        for line in self._follower.poll():
            self._take(line)
        now = self._clock()
        for rank, batch in self._batches.items():
            if batch.texts and now - batch.written >= INTERVAL:
                self._write(rank, batch)

    def finish(self, where: str) -> None:
        """Write what is left when the run has ended.

        :param where: URI of the whole logs.
        """
        for line in self._follower.drain():
            self._take(line)
        self._write_all()
        if self.hidden:
            self._emit(-1, f"{self.hidden} lines not shown, all in {where}", self._since)
        for line in self._tail:
            self._add(line, _shown(line))
        self._tail.clear()
        self._write_all()

    def _take(self, line: LogLine) -> None:
        text = _shown(line)
        if self._head.take(_size(text)) or (self._is_sampled(line.rank) and self._sample.take(_size(text))):
            self._add(line, text)
            return
        self._tail.append(line)
        self._tail_size += _size(text)
        while len(self._tail) > self._tail_most.lines or self._tail_size > self._tail_most.size:
            self._tail_size -= _size(_shown(self._tail.popleft()))
            self.hidden += 1

    def _is_sampled(self, rank: int) -> bool:
        """Every second line of a rank, then every fourth, and so on: the longer, the thinner."""
        seen = self._seen[rank] = self._seen.get(rank, -1) + 1
        if seen % self._stride:
            return False
        self._sampled += 1
        if self._sampled % self._every == 0:
            self._stride *= 2
        return True

    def _add(self, line: LogLine, text: str) -> None:
        batch = self._batches.setdefault(line.rank, Batch())
        if not batch.texts:
            batch.time = max(line.time, self._since)
        batch.texts.append(text)
        batch.size += _size(text)
        if len(batch.texts) >= LINES_PER_EVENT or batch.size >= BYTES_PER_EVENT:
            self._write(line.rank, batch)

    def _write_all(self) -> None:
        for rank, batch in self._batches.items():
            if batch.texts:
                self._write(rank, batch)

    def _write(self, rank: int, batch: Batch) -> None:
        self._emit(rank, "\n".join(batch.texts), batch.time)
        batch.texts, batch.size, batch.written = [], 0, self._clock()


def _shown(line: LogLine) -> str:
    text = line.text
    if len(text) > WIDTH:
        text = f"{text[:WIDTH]} … {len(text) - WIDTH} characters more"
    return f"[{line.speaker}] {text}"


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _to_task_log(rank: int, text: str, moment: str) -> None:
    import structlog

    logger: Any = structlog.get_logger("train" if rank < 0 else f"rank.{rank}")
    if moment and rank >= 0:
        logger.info(text, timestamp=moment)
    else:
        logger.info(text)
