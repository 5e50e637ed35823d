"""Does a run make progress? A line of output, a file in `./logs` that grows, a metric: by any rank, on any node.

Where nothing comes for longer than it may, all ranks are asked what they are doing, those of other nodes too.
"""

from __future__ import annotations

import os
import time

from airflow_train.runtime import protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from airflow_train.runtime.ranks import NodeRanks

#: Seconds between two looks at the sizes of files, where the timeout isn't short.
LOOK = 1.0


class Progress:
    """Sizes of what the ranks of this node write, and since when nothing has come from any rank."""

    def __init__(self, launch: dict[str, Any]) -> None:
        self.timeout: float | None = launch.get("no_progress_timeout")
        self._launch = launch
        self._run_folder: str = launch["run_folder"]
        self._ranks = [one["rank"] for one in launch["ranks"]]
        self._sizes: dict[int, int] = {}
        self._others = 0
        self._next_look = 0.0
        #: Rank → when it last wrote something, by the monotonic clock.
        self._last_of: dict[int, float] = {}
        self._last = 0.0
        #: What the ranks of this node are doing; None until they are asked.
        self._doing: dict[int, dict[str, Any]] | None = None

    def begin(self) -> None:
        """From now on time counts."""
        self._last = time.monotonic()
        world = (self._launch.get("meeting") or {}).get("world") or self._launch["ranks"]
        self._last_of = {one["rank"]: self._last for one in world}

    def news(self, copied: int) -> list[int] | None:
        """Ranks of this node that have written something since the last look; None when nothing has come, or it isn't
        time for a look.

        :param copied: bytes of `./logs` that have come so far.
        """
        now = time.monotonic()
        if self.timeout is None or now < self._next_look:
            return None
        self._next_look = now + min(LOOK, self.timeout / 10)
        found = []
        for rank in self._ranks:
            size = self._size(protocol.rank_log(rank)) + self._size(protocol.metrics_file(rank))
            if self._sizes.get(rank) != size:
                self._sizes[rank] = size
                found.append(rank)
        before, self._others = self._others, copied + self._children()
        return found if found or before != self._others else None

    def missing(self, copied: int, ranks: NodeRanks, tell: Callable[[str], object]) -> dict[str, Any] | None:
        """What is known when nothing has come for longer than it may, for `stop.json`; None as long as that isn't so,
        or other nodes haven't said yet what their ranks are doing.

        :param tell: told that they are asked.
        """
        if self.timeout is None:
            return None
        for heard in (self.news(copied), ranks.progress()):
            if heard is not None:
                self._last = time.monotonic()
                self._last_of.update(dict.fromkeys(heard, self._last))
        if self._doing is None:
            if time.monotonic() - self._last <= self.timeout:
                return None
            tell("nothing came for %g s, asking every rank what it is doing" % self.timeout)
            ranks.ask()
            self._doing = self.doing(ranks.left_here())
        elsewhere = ranks.doing()
        if elsewhere is None:
            return None
        from airflow_train.runtime import hanging  # most runs don't

        doing = {**self._doing, **elsewhere}
        return hanging.found(self._launch, doing, self._last_of) if doing else None

    def doing(self, left: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
        """Write what these ranks of this node are doing into their logs; returns it in words (`hanging.look`)."""
        from airflow_train.runtime import hanging

        return hanging.look(self._launch, left)

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
