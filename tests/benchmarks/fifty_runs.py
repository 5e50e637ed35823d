"""50 local runs submitted at once by one process, a thread each: all of them start within 5 s, and none twice.

A run has started when its script's first line is executed; the scripts leave a mark with the time, so that a run that
was started twice would show. They live on until the last has started, as a training would.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from airflow_train.lifecycle.experiment import Experiment
from airflow_train.lifecycle.run import Run

RUNS = 50
BUDGET_SECONDS = 5.0
_SCRIPT = """
import os, time
with open(os.environ["MARKS"], "ab", 0) as file:
    file.write(f"{os.environ['AIRFLOW_TRAIN_RUN_ID']} {time.time()}\\n".encode())
while not os.path.exists(os.environ["MARKS"] + ".enough"):
    time.sleep(0.1)
"""


def measure(folder: Path, runs: int = RUNS) -> dict[str, Any]:
    """Seconds from the first submit to the last start, how many started twice or never, and how the runs ended."""
    code = folder / "code"
    code.mkdir()
    (code / "train.py").write_text(_SCRIPT, encoding="utf-8")
    marks = folder / "marks"
    marks.touch()
    definition = {
        "type": "Estimator",
        "source_directory": str(code),
        "entry_script": "train.py",
        "environment_variables": {"MARKS": str(marks)},
    }
    experiment = Experiment("fifty", f"{folder}/store")
    experiment.submit(definition).wait_for_completion(
        timeout=0
    )  # imports and the runtime in the store are no start
    submitted, began = _at_once(experiment, definition, runs)
    _until(lambda: len(_started(marks)) == runs + 1, 60)
    _until(lambda: False, 1)  # for a second start to show
    (folder / "marks.enough").touch()
    ended = [run.wait_for_completion(raise_on_error=False, timeout=60)["status"] for run in submitted]
    started = _started(marks)
    times = [times[0] - began for times in (started.get(run.id, [time.time()]) for run in submitted)]
    return {
        "last_start_seconds": round(max(times), 3),
        "first_start_seconds": round(min(times), 3),
        "twice_or_never": sum(len(started.get(run.id, ())) != 1 for run in submitted),
        "problem": "" if set(ended) == {"Completed"} else f"runs ended as {sorted(set(ended))}",
        "runs": len(submitted),
    }


def _at_once(experiment: Experiment, definition: dict[str, Any], count: int) -> tuple[list[Run], float]:
    submitted: list[Run] = []
    gate = threading.Barrier(count + 1)

    def submit() -> None:
        gate.wait()
        submitted.append(experiment.submit(definition))

    threads = [threading.Thread(target=submit) for _ in range(count)]
    for thread in threads:
        thread.start()
    began = time.time()
    gate.wait()
    for thread in threads:
        thread.join()
    return submitted, began


def _started(marks: Path) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for line in marks.read_text(encoding="utf-8").splitlines():
        run_id, at = line.split()
        found.setdefault(run_id, []).append(float(at))
    return found


def _until(condition: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        print(json.dumps(measure(Path(place), *map(int, sys.argv[1:])), indent=2))
