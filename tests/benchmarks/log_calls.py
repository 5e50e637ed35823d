"""How long a training script waits for 10 000 `run.log` calls, each in the run's file when it returns."""

from __future__ import annotations

import importlib.util
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import airflow_train

CALLS = 10_000
LIMIT_SECONDS = 0.2


def measure() -> dict[str, Any]:
    """Median and worst of five rounds, in seconds, and whether the worst keeps the limit."""
    with tempfile.TemporaryDirectory() as folder:
        run = _run(Path(folder))
        rounds = [_round(run) for _ in range(5)]
    return {
        "name": "10 000 run.log calls",
        "seconds": round(statistics.median(rounds), 4),
        "worst_seconds": round(max(rounds), 4),
        "limit_seconds": LIMIT_SECONDS,
        "ok": max(rounds) <= LIMIT_SECONDS,
    }


def _run(folder: Path) -> Any:
    script = Path(airflow_train.__file__).parent / "runtime" / "script" / "train_run.py"
    spec = importlib.util.spec_from_file_location("train_run", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    os.environ["AIRFLOW_TRAIN_RUN_ID"] = "benchmark"
    os.environ["AIRFLOW_TRAIN_METRICS"] = str(folder / "rank_0.jsonl")
    os.environ["AIRFLOW_TRAIN_FILES"] = str(folder / "files")
    return module.Run.get_context()


def _round(run: Any) -> float:
    started = time.perf_counter()
    for step in range(CALLS):
        run.log("loss", 1.0 / (step + 1), step=step)
    return time.perf_counter() - started


if __name__ == "__main__":
    print(measure())
