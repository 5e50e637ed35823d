"""Metrics of one series with a million points: from the store to values in a program, and on the screen, in ≤ 1 s each.

A real run logs them. The program is `Run.get_metrics()` in this process; the commands are processes of their own, so
that their start counts.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow_train.lifecycle.run import Run
from tests.targets.lab import Lab

POINTS = 1_000_000
BUDGET_SECONDS = 1.0
REPEATS = 5
_SCRIPT = f"""
from train_run import Run
run = Run.get_context()
for step in range({POINTS}):
    run.log("loss", 1.0 / (step + 1), step=step)
"""


def measure() -> dict[str, Any]:
    """Medians of five, in seconds: a program, `runs metrics`, and the same with `--json`."""
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(f"{folder}/store", Path(folder))
        try:
            run = Run(lab.run(_SCRIPT).record.run_id, lab.store)
            read = _median(run.get_metrics)
            shown = _median(lambda: _command(lab, "runs", "metrics", run.id))
            as_json = _median(lambda: _command(lab, "runs", "metrics", run.id, "--json"))
            points = len(json.loads(_command(lab, "runs", "metrics", run.id, "--json"))["loss"])
        finally:
            lab.close()
    return {
        "problem": "" if points == POINTS else f"{points} of {POINTS} points were read",
        "read_seconds": read,
        "command_seconds": shown,
        "command_json_seconds": as_json,
        "worst_seconds": max(read, shown, as_json),
    }


def _median(what: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        what()
        times.append(time.perf_counter() - began)
    return round(statistics.median(times), 3)


def _command(lab: Lab, *arguments: str) -> str:
    command = [str(Path(sys.executable).with_name("airflow-train")), *arguments]
    environment = {**os.environ, "AIRFLOW_TRAIN_STORE": lab.store.uri}
    return subprocess.run(command, env=environment, capture_output=True, check=True, text=True).stdout


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
