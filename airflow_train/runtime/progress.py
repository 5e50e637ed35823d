"""Does a run make progress? A line of output, a file in `./logs` that grows, a metric: by any of its ranks."""

from __future__ import annotations

import os
import time

from airflow_train.runtime import protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Seconds between two looks at the sizes of files, where the timeout isn't short.
LOOK = 1.0


class Progress:
    """Sizes of what the ranks write, and since when they haven't changed."""

    def __init__(self, launch: dict[str, Any]) -> None:
        self.timeout: float | None = launch.get("no_progress_timeout")
        self._run_folder: str = launch["run_folder"]
        self._ranks = [one["rank"] for one in launch["ranks"]]
        self._sizes: dict[int, int] = {}
        self._others = 0
        self._next_look = 0.0
        #: Rank → when it last wrote something, by the monotonic clock.
        self.last: dict[int, float] = {}
        self._last = 0.0

    def begin(self) -> None:
        """From now on time counts."""
        self._last = time.monotonic()
        self.last = dict.fromkeys(self._ranks, self._last)

    def missing(self, copied: int) -> bool:
        """Has nothing come for longer than it may?

        :param copied: bytes of `./logs` that have come so far.
        """
        now = time.monotonic()
        if self.timeout is None or now < self._next_look:
            return False
        self._next_look = now + min(LOOK, self.timeout / 10)
        for rank in self._ranks:
            size = self._size(protocol.rank_log(rank)) + self._size(protocol.metrics_file(rank))
            if self._sizes.get(rank) != size:
                self._sizes[rank] = size
                self._last = self.last[rank] = now
        others = copied + self._children()
        if others != self._others:
            self._others, self._last = others, now
        return now - self._last > self.timeout

    def _size(self, name: str) -> int:
        try:
            return os.stat(os.path.join(self._run_folder, name)).st_size
        except OSError:
            return 0

    def _children(self) -> int:
        """Bytes of what child runs logged."""
        folder = os.path.join(self._run_folder, protocol.CHILDREN_FOLDER)
        return sum(
            self._size(os.path.join(place, name)) for place, _, names in os.walk(folder) for name in names
        )
