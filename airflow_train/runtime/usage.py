"""Processor time and memory of each node of a run, into metrics of their own beside the script's.

The longer a run, the rarer its samples, so that a week leaves a megabyte. What was killed and never waited for takes
the processor time since its last sample along.
"""

from __future__ import annotations

import json
import os
import time

from airflow_train.runtime import processes, protocol, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Seconds between two samples, doubled after every `THIN_OUT` of them: 6 000 in a week.
INTERVAL = 10.0
THIN_OUT = 1000

#: Version of control groups → the file that says how much memory one holds.
_HELD = {1: "memory.usage_in_bytes", 2: "memory.current"}


class Usage:
    """Samples of a run, from the start of its ranks to their end."""

    def __init__(self, launch: dict[str, Any]) -> None:
        self._run_folder: str = launch["run_folder"]
        self._ranks: list[dict[str, Any]] = launch["ranks"]
        self._wrappers: dict[int, int] = {}
        #: Rank → seconds of processor time so far.
        self._seconds: dict[int, float] = {}
        self._interval, self._taken = INTERVAL, 0
        self._last = self._next = 0.0

    def begin(self) -> None:
        """The ranks are about to start."""
        self._last = time.monotonic()
        self._next = self._last + self._interval

    def look(self, group: dict[str, Any] | None) -> None:
        """Take a sample if it is time to.

        :param group: the control groups that hold the run's memory limit, if it has one (`cgroups.Place`).
        """
        if time.monotonic() < self._next:
            return
        self._taken += 1
        if self._taken % THIN_OUT == 0:
            self._interval *= 2
        self._next = time.monotonic() + self._interval
        spent, memory = dict(self._seconds), {one["node"]: 0 for one in self._ranks}
        children = processes.children()  # once, as there may be thousands
        for one in self._ranks:
            seconds, size = self._of_rank(one["rank"], children)
            spent[one["rank"]] = max(seconds, spent.get(one["rank"], 0.0))
            memory[one["node"]] += size
        if group is not None:
            memory = {node: _held(group, node) or size for node, size in memory.items()}
        self._write(spent, memory)

    def finish(self) -> None:
        """The sample at the end, from the exit records; with memory where the run was too short for others."""
        if not self._last:
            return
        spent, memory = dict(self._seconds), {one["node"]: 0 for one in self._ranks}
        for one in self._ranks:
            path = os.path.join(self._run_folder, protocol.rank_folder(one["rank"]), "exit.json")
            found = records.read(path) or {}
            spent[one["rank"]] = max(found.get("cpu_seconds") or 0.0, spent.get(one["rank"], 0.0))
            memory[one["node"]] += found.get("max_rss_bytes") or 0
        self._write(spent, {} if self._taken else memory)

    def _of_rank(self, rank: int, children: dict[int, list[int]]) -> tuple[float, int]:
        """Seconds of processor time and bytes of memory of everything that a rank has started."""
        if rank not in self._wrappers:
            start = records.read(os.path.join(self._run_folder, protocol.rank_folder(rank), "start.json"))
            if start is None:
                return 0.0, 0
            self._wrappers[rank] = int(start["wrapper"]["pid"])
        wrapper = self._wrappers[rank]
        below = processes.below(wrapper, children)
        found = [_process(pid) for pid in (wrapper, *(pid for pid, _ in below))]
        return sum(seconds for seconds, _ in found), sum(size for _, size in found)

    def _write(self, spent: dict[int, float], memory: dict[int, int]) -> None:
        now = time.monotonic()
        passed = max(now - self._last, 0.001)
        busy = {one["node"]: 0.0 for one in self._ranks}
        for one in self._ranks:
            busy[one["node"]] += spent[one["rank"]] - self._seconds.get(one["rank"], 0.0)
        self._last, self._seconds = now, spent
        found = {protocol.CPU_METRIC % node: round(100 * busy[node] / passed, 1) for node in busy}
        found.update({protocol.MEMORY_METRIC % node: size for node, size in memory.items()})
        moment = round(time.time(), 3)
        lines = "".join(
            json.dumps({"k": "scalar", "n": name, "v": value, "t": moment}, separators=(",", ":")) + "\n"
            for name, value in found.items()
        )
        path = os.path.join(self._run_folder, protocol.system_metrics_file(self._ranks[0]["node"]))
        with records.tolerated("system metric"):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "a", encoding="ascii") as file:
                file.write(lines)


def _process(pid: int) -> tuple[float, int]:
    """Seconds of processor time, that of children it has waited for included, and resident bytes of a process."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0.0, 0
    ticks = sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK"), int(fields[21]) * os.sysconf("SC_PAGESIZE")


def _held(group: dict[str, Any], node: int) -> int | None:
    """Bytes that a node's control group holds; None where that can't be read."""
    try:
        with open(os.path.join(group["folder"], "node_%d" % node, _HELD[group["version"]])) as file:
            return int(file.read())
    except (OSError, ValueError):
        return None
