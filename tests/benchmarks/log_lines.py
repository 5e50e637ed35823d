"""100 000 log lines a second from four ranks into the store: none lost, order kept, lag p99 ≤ 1 s, little memory.

Every line of the scripts carries its rank, a number and the time it was printed; a follower in this process, as
operators and commands have one, notes when it could read them from the store. Supervisor and wrappers are weighed (PSS)
meanwhile; at the end the whole goes through a task log's view.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_train.lifecycle import observe
from airflow_train.lifecycle.follow import Follower, LogLine
from airflow_train.tasks.live_log import LiveLog
from tests.targets.lab import Lab

RANKS, LINES_PER_SECOND, SECONDS = 4, 100_000, 10.0
BUDGET_LAG, BUDGET_NODE_MB, BUDGET_WRAPPER_MB = 1.0, 25.0, 15.0
#: The default of `[train] log_lines`.
TASK_LOG_LINES = 10_000
#: Pause between two looks of the follower, seconds.
PAUSE = 0.2

#: Prints single lines, 80 bytes each, as a script does that logs too much; paced in steps of 10 ms.
_SCRIPT = """
rank, rate, seconds = os.environ["RANK"], float(sys.argv[1]), float(sys.argv[2])
now, write, count, start = time.time, sys.stdout.write, 0, time.time()
while count < rate * seconds:
    due = min(int((now() - start) * rate), int(rate * seconds))
    while count < due:
        write(f"{rank} {count} {now():.6f} ".ljust(79, "x") + "\\n")
        count += 1
    time.sleep(0.01)
"""


@dataclass
class Seen:
    """What the follower saw."""

    numbers: dict[int, int] = field(default_factory=dict)
    #: Lines that weren't the next of their rank.
    wrong: int = 0
    lags: list[float] = field(default_factory=list)

    def take(self, lines: list[LogLine], at: float) -> None:
        """Count lines that were seen at a time."""
        for line in lines:
            rank, number, sent, _ = line.text.split(" ", 3)
            self.wrong += int(number) != self.numbers.get(line.rank, 0) or int(rank) != line.rank
            self.numbers[line.rank] = int(number) + 1
            self.lags.append(at - float(sent))


def measure(seconds: float = SECONDS) -> dict[str, Any]:
    """Rate, losses, lag in seconds as a follower sees it, PSS in MB (10⁶ bytes)."""
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(f"{folder}/store", Path(folder))
        rate = LINES_PER_SECOND / RANKS
        began = time.monotonic()
        run_id = lab.start(
            _SCRIPT,
            arguments=[str(rate), str(seconds)],
            distribution={"type": "pytorch"},
            process_count_per_node=RANKS,
        )
        try:
            return _follow(lab, run_id, seconds, began)
        finally:
            lab.close()


def _follow(lab: Lab, run_id: str, seconds: float, began: float) -> dict[str, Any]:
    seen, weights = Seen(), {"node": 0.0, "wrapper": 0.0}
    follower, watcher = Follower(lab.store, run_id), observe.Watcher(lab.store, run_id)
    while not (view := watcher.look()).terminal:
        lines = follower.poll()
        seen.take(lines, time.time())
        _weigh(lab, run_id, weights)
        time.sleep(PAUSE)
    took = time.monotonic() - began
    seen.take(list(follower.drain()), time.time())
    expected = int(LINES_PER_SECOND / RANKS * seconds)
    lost = sum(expected - seen.numbers.get(rank, 0) for rank in range(RANKS))
    cuts = statistics.quantiles(seen.lags, n=100)
    return {
        "problem": "" if view.status == "Completed" else f"the run ended as {view.status}",
        "lines": sum(seen.numbers.values()),
        "lines_per_second": round(sum(seen.numbers.values()) / took),
        "lost": lost,
        "out_of_order": seen.wrong,
        "lag_p50_seconds": round(cuts[49], 3),
        "lag_p99_seconds": round(cuts[98], 3),
        "task_log_lines": _task_log_lines(lab, run_id),
        "node_pss_mb": round(weights["node"], 1),
        "wrapper_pss_mb": round(weights["wrapper"], 1),
        "budget_lag_seconds": BUDGET_LAG,
        "budget_task_log_lines": TASK_LOG_LINES,
        "budget_node_mb": BUDGET_NODE_MB,
        "budget_wrapper_mb": BUDGET_WRAPPER_MB,
    }


def _task_log_lines(lab: Lab, run_id: str) -> int:
    """How many lines a task log would show."""
    shown: list[str] = []
    live = LiveLog(
        lab.store, run_id, lines=TASK_LOG_LINES, emit=lambda _, text, __: shown.extend(text.split("\n"))
    )
    live.finish("the store")
    return sum(line.startswith("[") for line in shown)


def _weigh(lab: Lab, run_id: str, weights: dict[str, float]) -> None:
    """Keep the greatest weights met."""
    record = lab.store.record(run_id)
    if record.claim is not None:
        weights["node"] = max(weights["node"], _pss(int(record.claim["pid"])))
    for one in record.starts.values():
        weights["wrapper"] = max(weights["wrapper"], _pss(int(one["wrapper"]["pid"])))


def _pss(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:  # it has ended
        return 0.0
    return next(
        (int(line.split()[1]) * 1024 / 1e6 for line in text.splitlines() if line.startswith("Pss:")), 0.0
    )


if __name__ == "__main__":
    print(json.dumps(measure(*map(float, sys.argv[1:])), indent=2))
