"""Log lines of four containers on their way into the store: 100 000 a second or more, none lost, none repeated.

Scripts print as fast as they can. Each run has a follower, as a task has one, in a thread of this process; the clock
goes from the first line that was printed to the last one that could be read from the store.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from airflow_train.lifecycle import observe
from airflow_train.lifecycle.follow import Follower
from tests.targets.lab import DOCKER, Lab

CONTAINERS, LINES = 4, 300_000
#: Pause between two looks of a follower, seconds.
PAUSE = 0.2

#: Waits for all others, so that all print at once; lines of 80 bytes, as a script has them that logs too much.
_SCRIPT = """
mark("ready")
while not os.path.exists(os.environ["GO"]): time.sleep(0.01)
for count in range(int(sys.argv[1])):
    print(f"{count} {time.time():.6f} ".ljust(79, "x"))
"""


def measure(folder: Path, lines: int = LINES) -> dict[str, Any]:
    """`seconds_for_100_000` lines of all containers together, and lines that were `lost` or `repeated`."""
    lab = Lab(str(folder / "store"), folder, DOCKER)
    go = folder / "go"
    try:
        job = {"arguments": [str(lines)], "environment_variables": {"GO": str(go), "PYTHONUNBUFFERED": ""}}
        run_ids = [lab.start(_SCRIPT, **job) for _ in range(CONTAINERS)]
        for run_id in run_ids:
            lab.marked(run_id, "ready")
        with ThreadPoolExecutor(CONTAINERS) as pool:
            following = [pool.submit(_follow, lab, run_id) for run_id in run_ids]
            go.touch()
            found = [one.result() for one in following]
    finally:
        lab.close()
    seen = sum(one["lines"] for one in found)
    took = max(one["last_seen"] for one in found) - min(one["first_printed"] for one in found)
    return {
        "lines": seen,
        "seconds": round(took, 2),
        "lines_per_second": round(seen / took),
        "seconds_for_100_000": round(100_000 * took / seen, 3),
        "lost": CONTAINERS * lines - seen,
        "repeated": sum(one["wrong"] for one in found),
    }


def _follow(lab: Lab, run_id: str) -> dict[str, Any]:
    """Read to the end; a line is `wrong` that isn't the next."""
    follower, watcher = Follower(lab.store, run_id), observe.Watcher(lab.store, run_id)
    found = {"lines": 0, "wrong": 0, "first_printed": 0.0, "last_seen": 0.0}
    ended = False
    while not ended:
        ended = watcher.look().terminal
        while lines := list(follower.drain()) if ended else follower.poll():
            found["last_seen"] = time.time()
            for line in lines:
                number, printed, _ = line.text.split(" ", 2)
                found["first_printed"] = found["first_printed"] or float(printed)
                found["wrong"] += int(number) != found["lines"]
                found["lines"] += 1
        time.sleep(PAUSE)
    return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        print(json.dumps(measure(Path(scratch), *map(int, sys.argv[1:])), indent=2))
